"""TLS: whether the certificate and its key are such that the service can begin with them."""

from __future__ import annotations

import ssl
from pathlib import Path

from contract.errors import SettingsRefused
from serving.settings import ServeSettings


def check(settings: ServeSettings) -> None:
    """Hold the files to what they are to be.

    Raises:
        SettingsRefused: one cannot be read, is no certificate or key, or they do not belong together.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        missing = "LECTERN_TLS_CERTIFICATE" if certificate is None else "LECTERN_TLS_KEY"
        raise SettingsRefused(f"TLS takes a certificate and its key: set {missing}, too.")
    for path in (certificate, key):
        _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_refuse_password)
    except ssl.SSLError as error:
        told = f"{certificate} and {key} are no certificate and its key ({error.reason or 'unreadable'})"
        raise SettingsRefused(f"{told}: give files of PEM that belong together.") from None
    except ValueError:
        raise SettingsRefused(
            f"The key {key} has a password: give one that has none, and let nobody read it."
        ) from None


def _read(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise SettingsRefused(f"Cannot read {path}: {error.strerror}.") from None


def _refuse_password() -> str:
    raise ValueError
