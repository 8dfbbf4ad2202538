//! The random numbers of learning and judging.
//!
//! The generator is part of what makes a run reproducible, so it is written out here and never changes: xoshiro256**
//! (Blackman and Vigna, 2018), its state filled by SplitMix64 (Steele, Lea and Flood, 2014). A unit of parallel work
//! (tree, fold, resample) draws from its own [`Rng::fork`], so results do not depend on which thread does it.
//!
//! Not for secrets.

/// 2^64 divided by the golden ratio, made odd: the increment of SplitMix64.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64, a bijection on 64 bits.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers, the same for ever and on every machine for the same seed.
#[derive(Debug, Clone)]
pub struct Rng {
    seed: u64,
    state: [u64; 4],
}

impl Rng {
    /// The stream of a seed; neighbouring seeds give unrelated streams.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut z = seed;
        let state = std::array::from_fn(|_| {
            z = z.wrapping_add(GOLDEN_GAMMA);
            mix(z)
        });
        Self { seed, state }
    }

    /// The stream numbered `stream` below this one.
    ///
    /// Depends on the seed and `stream` alone, not on how many numbers were drawn before, so that streams may be made in
    /// any order. Different `stream` always give different seeds; forks of forks are streams of their own.
    #[must_use]
    pub fn fork(&self, stream: u64) -> Self {
        let of_parent = mix(self.seed ^ GOLDEN_GAMMA);
        Self::new(mix(of_parent.wrapping_add(stream.wrapping_mul(GOLDEN_GAMMA))))
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A whole number in `0..n`, each equally likely.
    ///
    /// Source: Lemire, *Fast Random Integer Generation in an Interval* (2019).
    ///
    /// # Panics
    /// When `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "no whole number lies below 0");
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            // The low halves below 2^64 mod n are those that would make some results more likely than others.
            let reject = n.wrapping_neg() % n;
            while (product as u64) < reject {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// Puts items into a random order, each order equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }
}

/// The few random numbers of one node of a tree, from the node's key.
///
/// A tree has too many nodes to fill a whole [`Rng`] for each, and keys that follow from the path to the node let subtrees be
/// grown in any order. The generator is SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    /// The numbers of a key.
    pub(crate) fn new(key: u64) -> Self {
        Self(key)
    }

    /// The keys of a node's left and right child.
    pub(crate) fn children(key: u64) -> [u64; 2] {
        [mix(key ^ 0x6c65_6674), mix(key ^ 0x7269_6768)]
    }

    /// The numbers of one feature in the node of a key, whatever else the node draws.
    pub(crate) fn of_feature(key: u64, feature: u32) -> Self {
        Self(mix(key ^ mix(u64::from(feature) ^ 0x6375_7473)))
    }

    #[inline]
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// A whole number in `0..n`, `n` above 0 and at most 2³²: none is likelier than another by more than 2⁻³².
    #[inline]
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number from 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn splitmix64_gives_the_published_numbers() {
        // The test vector of Rosetta Code's SplitMix64, seed 1234567.
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
        ];
        assert_eq!(Rng::new(1_234_567).state, published);
    }

    #[test]
    fn xoshiro256starstar_gives_the_published_numbers() {
        // Vigna's reference code from the state 1, 2, 3, 4, as the crate rand_xoshiro tests it.
        let mut rng = Rng { seed: 0, state: [1, 2, 3, 4] };
        let published = [
            11_520,
            0,
            1_509_978_240,
            1_215_971_899_390_074_240,
            1_216_172_134_540_287_360,
            607_988_272_756_665_600,
            16_172_922_978_634_559_625,
            8_476_171_486_693_032_832,
            10_595_114_339_597_558_777,
            2_904_607_092_377_533_576,
        ];
        for expected in published {
            assert_eq!(rng.next_u64(), expected);
        }
    }

    #[test]
    fn the_streams_of_this_project_never_change() {
        let mut rng = Rng::new(42);
        assert_eq!(rng.next_u64(), 1_546_998_764_402_558_742);
        let mut order: Vec<u8> = (0..8).collect();
        Rng::new(42).fork(3).shuffle(&mut order);
        assert_eq!(order, [3, 7, 2, 4, 1, 6, 0, 5]);
    }

    #[test]
    fn below_is_even_and_in_range() {
        let mut rng = Rng::new(7);
        let mut seen = [0u32; 6];
        for _ in 0..60_000 {
            seen[rng.below(6) as usize] += 1;
        }
        // 10,000 expected of each, standard deviation 91.
        assert!(seen.iter().all(|&n| n.abs_diff(10_000) < 460), "{seen:?}");
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn below_has_no_modulo_bias_where_bias_would_be_greatest() {
        // With n = 3 * 2^62 a plain multiply would give a third of the results twice as often as the others.
        let n = 3u64 << 62;
        let mut rng = Rng::new(11);
        let low_third = (0..30_000).filter(|_| rng.below(n) < n / 3).count();
        // 10,000 expected, standard deviation 82.
        assert!(low_third.abs_diff(10_000) < 410, "{low_third}");
    }

    #[test]
    fn every_order_of_three_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        let mut rng = Rng::new(5);
        for _ in 0..6_000 {
            let mut items = [0, 1, 2];
            rng.shuffle(&mut items);
            *counts.entry(items).or_insert(0u32) += 1;
        }
        // 1,000 expected of each, standard deviation 29.
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&n| n.abs_diff(1_000) < 150), "{counts:?}");
    }

    #[test]
    fn forks_differ_and_ignore_what_was_drawn() {
        let mut rng = Rng::new(1);
        let before = rng.fork(9).next_u64();
        rng.next_u64();
        assert_eq!(rng.fork(9).next_u64(), before);

        let mut first: BTreeSet<u64> = (0..1_000).map(|i| rng.fork(i).next_u64()).collect();
        first.insert(Rng::new(1).next_u64());
        first.insert(rng.fork(1).fork(2).next_u64());
        first.insert(rng.fork(2).fork(1).next_u64());
        assert_eq!(first.len(), 1_003);
    }
}
