//! Tests of the tracking stores as a user sees them.

mod http_server;
mod registry_contract;
mod store_contract;
mod transfer_contract;

mod active_run;
mod concurrency;
mod kill;
mod outbox;
mod rest;
mod rest_faults;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
mod s3_faults;
mod sqlite;
