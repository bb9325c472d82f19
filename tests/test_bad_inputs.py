"""Which test holds what a hostile or faulty request, or a fault beneath the service, must get: by kind and number.

C: bodies. D: HTTP and transport. E: names, paths and pages. F: keys and limits. G: overload and faults of processes.
Each line says what it is about.
"""

from __future__ import annotations

import ast
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from contract.store import Store
from tests.live import Says, publish, publish_graph, running, until

HELD = """
C1  NaN and Infinity as words    bad_bodies a_bad_value_is_refused_in_every_form
C2  1e400                        bad_bodies a_bad_value_is_refused_in_every_form
C4  a key that stands twice      bad_bodies a_key_that_stands_twice_is_refused_in_every_form
C5  a million levels             bad_bodies a_deep_body_is_refused_in_every_form
C5  and what that costs          effort c5_what_is_too_deep_is_not_gone_into
C7  numbers beyond the type      bad_bodies a_bad_value_is_refused_in_every_form
C8  1.0 for 1, "1", true         bad_bodies a_bad_value_is_refused_in_every_form
C10 nothing, null, [], "", 0     bad_bodies what_is_no_body_of_rows_is_refused
C11 more after the end           bad_bodies what_is_no_body_of_rows_is_refused
C13 a hundred thousand bad rows  bad_bodies of_many_bad_rows_few_are_named
C13 and what they cost           effort c13_a_hundred_thousand_bad_rows_cost_little_more_than_to_parse_them
C14 text for a number            bad_bodies a_bad_value_is_refused_in_every_form
C16 one byte too many            bad_requests a_large_body_is_refused_by_every_route
C17 encoded bodies               bad_bodies an_encoded_body_is_not_opened
C19 odd and long texts           bad_bodies an_odd_text_is_answered_with_a_warning_and_stays_on_one_line
C20 what no model saw: a warning prediction a_row_unlike_those_of_the_training_is_answered_with_a_warning
C20 or a refusal                 narrowing the_service_refuses_in_every_form_what_it_is_told_to
C22 texts that are slow to read  bad_bodies a_bad_value_is_refused_in_every_form
C23 fields of any name, and many signatures fields_may_have_any_name_and_be_many
C23 and requests for them        requests a_field_may_have_any_name
C25 one bad row of a thousand    bad_bodies one_bad_row_among_a_thousand_is_named_and_none_is_answered
C25 and the others, where wanted bad_bodies where_it_is_asked_for_the_others_are_answered_each_in_its_place
C26 one bad request of a batch   predictors a_row_that_the_model_refuses_fails_alone
D1  a length and chunks          transport what_is_ambiguous_is_refused_and_the_connection_closed
D2  two lengths                  transport what_is_ambiguous_is_refused_and_the_connection_closed
D4  lengths that are no numbers  transport what_is_ambiguous_is_refused_and_the_connection_closed
D5  other transfer encodings     transport what_is_ambiguous_is_refused_and_the_connection_closed
D7  chunks with extensions       transport chunks_may_have_extensions_and_trailers_which_nobody_reads
D7  chunks of a byte             transport 65537_chunks_of_a_byte_are_refused
D8  a space before the colon     transport what_is_ambiguous_is_refused_and_the_connection_closed
D10 headers over two lines       transport what_is_ambiguous_is_refused_and_the_connection_closed
D11 no Host                      transport what_is_ambiguous_is_refused_and_the_connection_closed
D13 large heads                  transport a_head_has_a_largest_size
D14 long addresses               transport an_address_has_a_greatest_length
D16 TRACE, CONNECT, FOO          transport a_method_that_no_path_takes_is_405
D17 addresses of other hosts     transport the_target_may_be_an_address_of_the_host_and_of_no_other
D19 bodies that stand still      transport a_body_that_stands_still_is_408_and_the_model_is_free
D20 callers who leave            gone who_leaves_while_the_model_works_is_counted_as_gone
D20 in the middle of their body  gone who_leaves_before_the_body_has_come_is_counted_as_gone_and_nothing_is_asked
D22 answers that are left unread transport what_is_left_unread_is_given_up
D23 connections at rest          transport a_connection_at_rest_is_closed_without_a_word
E1  dots that are escaped        routes no_spelling_of_a_path_leads_out_of_the_store
E2  other ways out of the store  bad_paths no_spelling_of_any_parameter_opens_a_file_that_is_not_its_own
E4  versions that are none       routes what_is_no_number_of_a_version_is_not_found
E5  names no version may have    deploying a_version_may_not_be_called_so
E7  scripts in a notebook        executed in_a_frame_it_runs_nothing_and_reaches_nothing
E7  and its page by itself       executed alone_it_runs_nothing_and_reaches_nothing
E8  files named in a notebook    report a_picture_from_the_disk_is_not_put_into_it
E10 an address to be told at     drift_webhook an_address_that_is_none_of_the_web_is_refused_at_the_start
E10 that points elsewhere        drift_webhook a_redirect_is_not_followed
E11 templates in names           injections what_a_notebook_says_is_shown_as_it_is
E13 a page that rebinds its name transport_hosts a_page_that_rebinds_its_name_gets_421_on_every_route
E14 files of an artifact         bad_paths a_file_of_an_artifact_is_no_path
F1  no key, or a wrong one       access_door whatever_is_wrong_the_answer_is_the_same
F2  keys with other letters      access_door whatever_is_wrong_the_answer_is_the_same
F4  keys that ended              access_service a_key_is_known_and_forgotten_by_every_worker_within_two_seconds
F4  keys for something else      access_door each_right_opens_what_takes_it
F5  keys that are nearly right   access_keys it_is_looked_up_by_its_id_and_compared_in_constant_time
F7  two families of tokens       access_tokens the_two_families_do_not_mix
F8  claims that lack or lie      access_tokens a_forged_token_is_nobodys
F10 a secret that is too short   access_tokens a_secret_that_would_not_do_is_refused
F11 tokens that are too long     access_door what_is_long_is_not_looked_at
F13 one request too many         limiting_service the_request_above_the_limit_is_refused_and_other_keys_are_not
F13 of four workers              redis four_workers_have_one_limit
F14 a million wrong keys         limiting names_without_end_take_no_more_memory_than_those_that_are_remembered
F16 who tries keys               limiting_service wrong_keys_are_refused_more_shortly_and_the_right_one_never
F17 who asks for a copy: quotas  limiting rows_are_a_quota_of_their_own
F17 and less of each answer      rounding every_form_of_body_gets_them_rounded
G1  more than it can do          overload each_request_is_answered_or_refused_and_health_is_always_told
G2  models beside the event loop endless no_model_call_that_may_take_long_is_made_by_the_thread_of_the_loop
G4  a model that never returns   predictors nobody_waits_longer_than_allowed_for_a_model_that_hangs_and_it_is_replaced
G4  three times in a row         vitals three_in_a_row_are_told_and_the_next_one_is_answered
G5  a model that crashes         predictors a_row_that_kills_the_model_fails_alone_and_the_next_is_answered
G7  a worker that is killed      server a_worker_that_dies_is_replaced
G7  one that is stopped          workers a_worker_that_is_stuck_is_replaced_and_the_others_answer
G7  the supervisor               workers no_worker_and_no_model_outlives_the_supervisor
G8  SIGTERM while one is loaded  ending g8_while_a_version_is_loaded
G8  during a batch               ending g8_during_a_batch
G8  with fifty in flight         lifecycle fifty_requests_in_flight_are_answered
G8  twice                        lifecycle a_second_signal_ends_it_at_once
G10 one broken model of several  routes a_service_of_which_one_model_does_not_answer_is_degraded_and_ready
G10 one of ten, and being strict routes of_ten_models_nine_answer_where_one_is_broken
G11 no model at all              routes a_service_goes_from_empty_to_failed_to_ready
G13 no memory left for a model   memory a_process_that_dies_while_the_count_grows_died_of_it
G13 or for a worker              ledger one_that_died_while_the_system_was_out_of_memory_died_of_it
G14 a swap every 50 ms           swaps g14_versions_that_change_faster_than_they_are_loaded
G16 an event loop that is stuck  pulse a_loop_that_is_stuck_is_told_of_once_with_what_it_is_at
G17 holding its interpreter      bad_inputs g17_a_model_that_holds_its_interpreter_holds_up_nobody
G19 a clock that is set          clock g19_nothing_happens
G19 and what is limited          clock g19_a_limit_is_the_same
G19 another time zone            clock g19_what_is_told_and_kept_is_told_in_utc
"""
LINES = [line.split() for line in HELD.strip().splitlines()]


@cache
def names(file: str) -> set[str]:
    """The functions of a test file."""
    return {
        node.name
        for node in ast.parse(Path(__file__).with_name(f"{file}.py").read_text()).body
        if hasattr(node, "name")
    }


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_there_is_a_test_for_each(line: list[str]) -> None:
    assert f"test_{line[-1]}" in names(f"test_{line[-2]}")


def test_g17_a_model_that_holds_its_interpreter_holds_up_nobody(store: Store) -> None:
    def predict(frame: Any) -> Any:
        if 666.0 in frame["x"].tolist():
            sum(repeat(0))  # one call without an end, in which no other thread of the process runs
        return frame["x"]

    publish(store, "holds", Says(predict=predict))
    publish_graph(store, "double")
    with running(store, predict_timeout_s=1, default_model="double") as service:
        until(lambda: service.get("/health")["status"] == "ready")
        for _ in range(2):
            late = service.predict({"x": 666}, "/models/holds/predict")
            assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
            assert service.predict({"x": 2}).json()["prediction"] == 4.0
            assert service.predict({"x": 2}, "/models/holds/predict").json()["prediction"] == 2.0
        assert "Traceback" not in service.complaints
