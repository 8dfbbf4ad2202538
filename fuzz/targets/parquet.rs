//! Parquet files: an error or rows, and no more memory than a file of its size may take.
#![no_main]

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::abort;
use std::sync::Mutex;

use libfuzzer_sys::fuzz_target;
use phantomnet_features::{Format, ReadOptions, raw_lines, read_events};
use phantomnet_fuzz::file;

/// The last panic. The library that reads Parquet panics on some broken files, which is caught.
static PANIC: Mutex<String> = Mutex::new(String::new());

fuzz_target!(
    init: set_hook(Box::new(|panic| {
        if let Ok(mut last) = PANIC.lock() {
            *last = panic.to_string();
        }
    })),
    |bytes: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| check(bytes))).is_err() {
            eprintln!("{:?}", PANIC.lock());
            abort();
        }
    }
);

fn check(bytes: &[u8]) {
    let (_file, paths) = file(bytes, ".parquet");
    let options = ReadOptions { format: Some(Format::Parquet), ..ReadOptions::default() };
    let Ok(events) = read_events(&paths, &options) else {
        return;
    };
    let n_rows = events.batch.num_rows();
    assert_eq!((n_rows, n_rows as u64), (events.origin.places.len(), events.origin.files[0].n_rows));
    // A row group may hold other rows when it is read by rows, if it does not hold what it says.
    let _ = raw_lines(&events.origin, &[n_rows - 1, 0]);
}
