"""The prediction log: one row per answered row, in a database, with no more of its input than the policy allows.

answered → `writer` (a bounded queue, a thread) → `database` → the verb `lectern log`, quality, drift, notebooks
"""
