//! Ids and run names.

use crate::error::{Error, Result};

const ADJECTIVES: [&str; 48] = [
    "able",
    "agile",
    "amused",
    "bald",
    "bold",
    "brave",
    "calm",
    "capable",
    "caring",
    "clean",
    "clever",
    "curious",
    "dapper",
    "eager",
    "fearless",
    "gentle",
    "gifted",
    "glad",
    "grand",
    "honest",
    "humble",
    "intrigued",
    "jolly",
    "keen",
    "kindly",
    "lively",
    "loud",
    "lucky",
    "mellow",
    "merry",
    "nimble",
    "noble",
    "orderly",
    "patient",
    "polite",
    "proud",
    "quick",
    "quiet",
    "rare",
    "sedate",
    "serious",
    "silent",
    "smooth",
    "stately",
    "swift",
    "tidy",
    "wise",
    "witty",
];

const ANIMALS: [&str; 48] = [
    "ape", "auk", "badger", "bat", "bear", "bee", "carp", "cod", "colt", "crab", "crane", "deer", "doe", "dog", "duck",
    "eel", "elk", "finch", "fish", "fox", "frog", "gnat", "goat", "goose", "grouse", "gull", "hare", "hawk", "hen",
    "horse", "kit", "koi", "lamb", "lark", "loon", "lynx", "mink", "mole", "moose", "newt", "owl", "perch", "quail",
    "rook", "seal", "shrew", "squid", "wren",
];

/// A run name such as `curious-crane-417` in the manner of MLflow, the same for the same bytes.
pub fn random_run_name(bytes: &[u8]) -> String {
    // FNV-1a, so that every byte counts however many are given.
    let mut rest = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mut draw = |n: usize| {
        let n = n as u64;
        let drawn = rest % n;
        rest /= n;
        drawn as usize
    };
    let (adjective, animal, number) = (draw(ADJECTIVES.len()), draw(ANIMALS.len()), draw(1000));
    format!("{}-{}-{number}", ADJECTIVES[adjective], ANIMALS[animal])
}

/// A fresh version 4 UUID as 32 lower-case hex digits.
pub(crate) fn new_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|source| Error::Random { source })?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Whether all characters are lower-case hex digits, as those of ids are; a beginning of an id passes, and so does no text.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether the text has the form of [`new_id`].
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && is_hex(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_every_byte_only() {
        assert_eq!(random_run_name(&[1, 2, 3]), random_run_name(&[1, 2, 3]));
        assert_ne!(random_run_name(&[1, 2, 3]), random_run_name(&[0, 2, 3]));
        assert_ne!(random_run_name(&[1, 2, 3]), random_run_name(&[1, 2, 4]));
        for n in 0..2000_u32 {
            let name = random_run_name(&n.to_le_bytes());
            let parts: Vec<&str> = name.split('-').collect();
            assert_eq!(parts.len(), 3, "{name}");
            assert!(ADJECTIVES.contains(&parts[0]) && ANIMALS.contains(&parts[1]), "{name}");
            assert!(parts[2].parse::<u32>().is_ok_and(|n| n < 1000), "{name}");
        }
    }

    #[test]
    fn ids_are_version_4_uuids() {
        let (a, b) = (new_id().expect("random"), new_id().expect("random"));
        assert_ne!(a, b);
        assert!(is_id(&a) && is_hex(&a[..7]));
        assert!(!is_id(&a[..31]) && !is_id(&format!("{}g", &a[..31])) && !is_id(&a.replace(|_: char| true, "F")));
        assert_eq!(&a[12..13], "4");
        assert!(["8", "9", "a", "b"].contains(&&a[16..17]));
    }
}
