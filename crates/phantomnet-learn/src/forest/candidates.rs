//! The cuts that a node chooses from.

use super::bag::Sample;
use super::binning::Bins;
use super::counts::Counts;
use super::criterion::{Criterion, Entropy, Gini, TwoClassGini};
use super::groups::Groups;
use super::grower::Grower;
use super::histogram::{Histograms, N_SLOTS};
use super::split::{BestCut, Cutter};
use super::tally::{Layout, subtract};
use crate::rng::SplitMix;

/// A set of features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FeatureSet {
    n_features: u32,
    words: Vec<u64>,
}

impl FeatureSet {
    pub(super) fn empty(n_features: usize) -> Self {
        Self { n_features: n_features as u32, words: vec![0; n_features.div_ceil(64)] }
    }

    /// Features that there are, in the set or not.
    pub(super) fn n_features(&self) -> usize {
        self.n_features as usize
    }

    /// The features as bits, to be kept elsewhere.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The same, to be brought back.
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The features that are not in the set, ascending.
    pub(super) fn others(&self) -> impl Iterator<Item = u32> {
        (0..self.n_features).filter(|&feature| !self.contains(feature))
    }

    fn insert(&mut self, feature: u32) {
        self.words[feature as usize / 64] |= 1 << (feature % 64);
    }

    fn contains(&self, feature: u32) -> bool {
        self.words[feature as usize / 64] >> (feature % 64) & 1 == 1
    }
}

/// What it takes to choose a cut, kept from node to node to spare allocations.
#[derive(Debug)]
pub(super) struct Candidates {
    /// All features; in order between two nodes.
    features: Vec<u32>,
    swaps: Vec<(u32, u32)>,
    histograms: Histograms,
    groups: Groups,
    cutter: Cutter,
    /// Features that are constant in the node.
    pub(super) constant: FeatureSet,
    /// Tally of the node.
    pub(super) node: Vec<u64>,
    /// Counts of the node by all features, if it keeps them.
    pub(super) counts: Option<Counts>,
    /// Tally of the prefix of the best cut, the missing values counted where they go.
    pub(super) prefix: Vec<u64>,
    /// Tally of the rest of the node.
    pub(super) rest: Vec<u64>,
}

impl Candidates {
    pub(super) fn new(n_features: usize, layout: Layout, min_samples_leaf: usize) -> Self {
        Self {
            features: (0..n_features as u32).collect(),
            swaps: Vec::new(),
            histograms: Histograms::new(layout),
            groups: Groups::new(layout),
            cutter: Cutter::new(layout, u32::try_from(min_samples_leaf).unwrap_or(u32::MAX)),
            constant: FeatureSet::empty(n_features),
            node: vec![0; layout.n_words],
            counts: None,
            prefix: vec![0; layout.n_words],
            rest: vec![0; layout.n_words],
        }
    }

    /// The best cut among `max_features` features drawn without replacement, or more until there is one at all. Of equal
    /// scores the lower feature is taken.
    ///
    /// A feature that is constant in the node, which is noted for the node's children, counts as drawn. `prefix` and `rest`
    /// become those of the cut.
    ///
    /// - `key`: where the draws start; what was drawn in other nodes does not matter.
    pub(super) fn best_cut(
        &mut self,
        grower: &Grower<'_>,
        key: u64,
        bins: Bins<'_>,
        samples: &[Sample],
    ) -> Option<BestCut> {
        let (n_features, max_features) = (self.features.len(), grower.limits.max_features);
        let mut rng = SplitMix::new(key);
        let mut best: Option<BestCut> = None;
        let mut n_drawn = 0;
        self.prefix.fill(0);
        if self.counts.is_none() && grower.keeps_counts(samples.len()) {
            self.counts = Some(self.count_all(grower, bins, samples));
        }
        while n_drawn < n_features && (n_drawn < max_features || best.is_none()) {
            // Beyond `max_features` one at a time, since one is enough.
            let until = if n_drawn < max_features { max_features } else { n_drawn + 1 };
            let (mut slots, mut n_slots) = ([0; N_SLOTS], 0);
            while n_drawn < until && n_slots < N_SLOTS {
                let other = n_drawn + rng.below((n_features - n_drawn) as u64) as usize;
                self.features.swap(n_drawn, other);
                self.swaps.push((n_drawn as u32, other as u32));
                let feature = self.features[n_drawn];
                n_drawn += 1;
                if !self.constant.contains(feature) {
                    slots[n_slots] = feature;
                    n_slots += 1;
                }
            }
            if !(grower.is_wanted)() {
                break;
            }
            if n_slots > 0 && self.counts.is_none() {
                self.histograms.fill(bins, samples, &slots[..n_slots]);
            }
            for (slot, &feature) in slots[..n_slots].iter().enumerate() {
                if let Some(counts) = &self.counts {
                    counts.load(feature, &mut self.histograms, slot);
                }
                self.consider(grower, key, feature, slot, &mut best);
            }
        }
        while let Some((i, j)) = self.swaps.pop() {
            self.features.swap(i as usize, j as usize);
        }
        self.rest.copy_from_slice(&self.node);
        subtract(&mut self.rest, &self.prefix);
        best
    }

    /// Counts samples of the node by all features that are not constant in it.
    pub(super) fn count_all(&mut self, grower: &Grower<'_>, bins: Bins<'_>, samples: &[Sample]) -> Counts {
        Counts::of(bins, samples, &self.constant, &mut self.histograms, grower.is_wanted)
    }

    /// Cuts the feature that was counted in a slot, and keeps the cut if it is the best so far.
    fn consider(&mut self, grower: &Grower<'_>, key: u64, feature: u32, slot: usize, best: &mut Option<BestCut>) {
        let (values, order) = grower.feature(feature);
        let groups = &mut self.groups;
        groups.take(&mut self.histograms, slot, values, order);
        if groups.ranks.len() + usize::from(groups.has_missing) < 2 {
            self.constant.insert(feature);
            return;
        }
        let (layout, class_weights) = (grower.layout, grower.class_weights);
        let (cutter, node) = (&mut self.cutter, &self.node);
        macro_rules! cut {
            ($score:expr) => {
                match grower.limits.random_cuts {
                    true => cutter.random(groups, values, node, &$score, &mut SplitMix::of_feature(key, feature)),
                    false => cutter.best(groups, node, &$score),
                }
            };
        }
        let cut = match grower.limits.criterion {
            Criterion::Gini if layout.n_classes == 2 => cut!(TwoClassGini { class_weights }),
            Criterion::Gini => cut!(Gini { layout, class_weights }),
            Criterion::Entropy | Criterion::LogLoss => cut!(Entropy { layout, class_weights }),
        };
        let Some(cut) = cut else { return };
        let is_better = best
            .as_ref()
            .is_none_or(|best| cut.score > best.cut.score || (cut.score == best.cut.score && feature < best.feature));
        if is_better {
            *best = Some(BestCut::new(feature, cut, groups, &mut self.prefix));
        }
    }
}
