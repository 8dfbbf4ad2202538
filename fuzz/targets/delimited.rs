//! CSV and TSV, with a header or with given names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantomnet_features::{Format, Layout, ReadOptions};
use phantomnet_fuzz::{SCHEMA, check_stream, lines_alone, split_options};

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = split_options(input) else {
        return;
    };
    let columns = || ["id", "data", "x", "id"].map(str::to_owned).to_vec();
    let (format, columns) = match choice.of_four() {
        0 => (Some(Format::Csv), None),
        1 => (Some(Format::Tsv), None),
        2 => (Some(Format::Csv), Some(columns())),
        _ => (None, None),
    };
    let mut options = ReadOptions { format, columns, keep_extra: choice.flag(0), ..ReadOptions::default() };
    if choice.flag(1) {
        options.max_line_bytes = 24;
    }
    check_stream(bytes, choice.size(), &options, &SCHEMA);
    let header = ["id", "score", "flag", "data", "src.port"].map(str::to_owned).to_vec();
    lines_alone(bytes, &Layout::Delimited { delimiter: b',', header }, &SCHEMA);
});
