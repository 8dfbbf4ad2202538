//! `forest.bin` of a forest, of either form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantomnet_fuzz::{assert_printable, models};
use phantomnet_model::{Forest, Model};

fuzz_target!(|bytes: &[u8]| {
    match Forest::from_bytes(bytes) {
        Ok(forest) => {
            assert_eq!(forest.to_bytes(), bytes);
            // Their number is in the header alone; a folder's is compared with its schema.
            if forest.n_features() > 1000 {
                return;
            }
            models::check_predictions(&forest);
            let joined = Forest::new(forest.n_features(), forest.n_classes(), forest.trees().collect());
            let joined = joined.expect("what was read is well-formed");
            models::check_same_predictions(&forest, &joined);
        }
        Err(reason) => assert_printable(&reason),
    }
});
