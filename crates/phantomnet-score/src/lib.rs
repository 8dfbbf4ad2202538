//! Apply a saved model to raw events.
