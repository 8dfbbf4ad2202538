//! JSON lines, as a stream and one line at a time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantomnet_features::{Format, Layout, ReadOptions};
use phantomnet_fuzz::{SCHEMA, check_stream, lines_alone, split_options};

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = split_options(input) else {
        return;
    };
    let mut options =
        ReadOptions { format: Some(Format::JsonLines), keep_extra: choice.flag(0), ..ReadOptions::default() };
    if choice.flag(1) {
        options.max_line_bytes = 24;
    }
    check_stream(bytes, choice.size(), &options, &SCHEMA);
    lines_alone(bytes, &Layout::JsonLines, &SCHEMA);
});
