//! Pictures and the report page of a run, from plain values.
