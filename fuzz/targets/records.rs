//! Zeek logs, raw requests, one payload a line and JSON documents, as a stream and one record at a time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantomnet_features::{Format, ReadOptions};
use phantomnet_fuzz::{SCHEMA, check_stream, split_options};

fuzz_target!(|input: &[u8]| {
    let Some((&format, rest)) = input.split_first() else {
        return;
    };
    let Some((choice, bytes)) = split_options(rest) else {
        return;
    };
    let format = match format % 4 {
        0 => Format::Zeek,
        1 => Format::Http,
        2 => Format::Lines,
        _ => Format::JsonLines,
    };
    let mut options = ReadOptions { format: Some(format), keep_extra: choice.flag(0), ..ReadOptions::default() };
    if choice.flag(1) {
        options.max_line_bytes = 24;
    }
    check_stream(bytes, choice.size(), &options, &SCHEMA);
});
