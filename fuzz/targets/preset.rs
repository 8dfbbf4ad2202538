//! Presets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantomnet_features::Preset;
use phantomnet_fuzz::assert_printable;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match Preset::parse(text) {
        Ok(preset) => assert_eq!(preset.text(), text),
        Err(error) => assert_printable(&error.to_string()),
    }
});
