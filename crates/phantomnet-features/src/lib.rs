//! Events in, feature matrix out: readers, SQL expressions and functions.
