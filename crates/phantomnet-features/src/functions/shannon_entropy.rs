//! `shannon_entropy`: how evenly the bytes of a text are spread.

use arrow_array::types::Float64Type;

use super::{FunctionDoc, TextFunction};

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "shannon_entropy",
    signature: "shannon_entropy(text) -> DOUBLE",
    description: "Shannon entropy of the UTF-8 bytes, in bits per byte: -Σ p·log2(p) over the frequencies p of the \
                  byte values; from 0 (one value only) to 8 (all 256 alike); 0 for an empty text.",
};

pub(super) fn function() -> TextFunction<Float64Type> {
    TextFunction::new(DOC, shannon_entropy)
}

/// Summed in the order of the byte values, so that the result is the same to the bit wherever it is computed.
fn shannon_entropy(text: &str) -> f64 {
    let mut counts = [0_u64; 256];
    for &byte in text.as_bytes() {
        counts[usize::from(byte)] += 1;
    }
    let n = text.len() as f64;
    let entropy: f64 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let p = count as f64 / n;
            p * -p.log2()
        })
        .sum();
    // An empty sum is -0.0, and so is 1 · -log2(1).
    entropy.max(0.0) + 0.0
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::shannon_entropy;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("", 0.0)]
    #[case("aaaa", 0.0)]
    #[case("ab", 1.0)]
    #[case("aabb", 1.0)]
    #[case("aaab", 0.811_278_124_459_132_8)] // 3/4·log2(4/3) + 1/4·log2(4)
    #[case("abcd", 2.0)]
    #[case("é", 1.0)] // bytes c3 a9
    #[case("ÿÿ", 1.0)]
    fn of_hand_computed_texts(#[case] text: &str, #[case] expected: f64) {
        let entropy = shannon_entropy(text);
        assert!((entropy - expected).abs() < 1e-15, "{entropy} is not {expected}");
        assert!(entropy.is_sign_positive());
    }

    proptest! {
        #[test]
        fn equals_a_count_by_hash_map(text in ".{0,200}|[ab]{0,50}") {
            let mut counts = HashMap::<u8, u32>::new();
            for byte in text.bytes() {
                *counts.entry(byte).or_default() += 1;
            }
            let n = text.len() as f64;
            let naive: f64 = counts.values().map(|&c| f64::from(c) / n).map(|p| -p * p.log2()).sum();
            let entropy = shannon_entropy(&text);
            prop_assert!((entropy - naive).abs() < 1e-9, "{entropy} is not {naive}");
            prop_assert!((0.0..=8.0).contains(&entropy));
        }
    }
}
