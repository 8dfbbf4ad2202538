//! The model folder: what is saved is loaded, and nothing else is.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod bundle;
