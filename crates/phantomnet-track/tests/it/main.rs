//! Tests of the tracking stores as a user sees them.

mod store_contract;

mod active_run;
mod concurrency;
mod kill;
mod sqlite;
