//! What the tests from outside share: where things are, how a program is run.
