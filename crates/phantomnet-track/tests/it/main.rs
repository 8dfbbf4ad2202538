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
mod sqlite;
