//! `model.onnx` of a forest or a linear model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantomnet_fuzz::{assert_printable, models};
use phantomnet_model::{Classes, onnx};

fuzz_target!(|bytes: &[u8]| {
    let (schema, classes) = (models::schema(), Classes::boolean());
    match onnx::read(bytes, &schema, &classes) {
        Ok(model) => {
            models::check_predictions(model.as_ref());
            let written = onnx::write(model.as_ref(), &schema, &classes).expect("what was read can be written");
            let back = onnx::read(&written, &schema, &classes).expect("what was written can be read");
            assert_eq!(format!("{back:?}"), format!("{model:?}"));
        }
        Err(reason) => assert_printable(&reason),
    }
});
