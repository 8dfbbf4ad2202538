//! The command line and the pipeline from event log to tracked model.
