//! Files of every format of text, whole and in blocks by several threads, and expressions evaluated while they are read.
#![no_main]

use std::num::NonZeroUsize;

use libfuzzer_sys::fuzz_target;
use phantomnet_features::{Format, ReadOptions};
use phantomnet_fuzz::{check_file, split_options};

fuzz_target!(|input: &[u8]| {
    let [format, block_bytes, rest @ ..] = input else {
        return;
    };
    let Some((choice, bytes)) = split_options(rest) else {
        return;
    };
    let format = match format % 8 {
        0 => Some(Format::Csv),
        1 => Some(Format::Tsv),
        2 => Some(Format::Psv),
        3 => Some(Format::JsonLines),
        4 => Some(Format::Zeek),
        5 => Some(Format::Http),
        6 => Some(Format::Lines),
        _ => None,
    };
    let mut options = ReadOptions {
        format,
        max_rejected: 1.0,
        block_bytes: 1 + usize::from(block_bytes % 64),
        threads: NonZeroUsize::new(choice.of_four().clamp(1, 3)),
        ..ReadOptions::default()
    };
    if choice.flag(0) {
        options.max_line_bytes = 24;
    }
    if choice.flag(1) {
        options.columns = Some(["a", "b"].map(str::to_owned).to_vec());
    }
    check_file(bytes, &options);
});
