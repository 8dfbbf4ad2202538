//! Which version of a registered model was the champion when, on whose word and on what evidence.
//!
//! The history is a chain: each entry holds the SHA-256 of the one before it, so no entry can be changed, taken out or put in
//! between without breaking all that follow. Entries are tags of the registered model, so that they are where the model is,
//! on any store; whoever may name a champion may record it, and MLflow's own clients can read it. The version that an entry
//! is about carries the entry's hash in a tag of its own, so that an end cut off is missed, too.
//!
//! What a chain cannot show is one written anew from its first entry by someone who may write all of these tags. Against that,
//! keep the hash that every change prints, and give it to [`verify`].

mod claim;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entities::Tag;
use crate::error::{Error, Result};
use crate::names;
use crate::registry::{ModelVersion, RegisteredModel};
use crate::store::Store;

use claim::Claim;

/// Alias of the version that judges.
pub const CHAMPION: &str = "champion";
/// Alias of the version that is to be judged.
pub const CHALLENGER: &str = "challenger";

/// What keys of entries begin with; number and beginning of the hash follow.
const ENTRY_PREFIX: &str = "phantomnet.history.";
/// Tag of a version with the hashes of the last entry about it.
pub(crate) const ENTRY_TAG: &str = "phantomnet.history";
/// Digits of a hash in a key.
const KEY_DIGITS: usize = 16;
/// Characters of an entry; a tag has 5,000.
const MAX_ENTRY_CHARS: usize = 4900;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A version became the champion.
    Promote,
    /// A version was found not to be good enough.
    Reject,
    /// An earlier champion became it again.
    Rollback,
    /// A version was deleted.
    Delete,
}

impl Action {
    /// Its name in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Reject => "reject",
            Self::Rollback => "rollback",
            Self::Delete => "delete",
        }
    }
}

/// A condition that a decision rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was asked.
    pub name: String,
    /// Whether it was so.
    pub passed: bool,
    /// Figures, in words.
    pub figures: String,
}

/// A decision about a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What was done.
    pub action: Action,
    /// The version it is about.
    pub version: u32,
    /// The champion before.
    pub previous: Option<u32>,
    /// The champion after.
    pub champion: Option<u32>,
    /// Id of the version's logged model, if it is one.
    pub model_id: Option<String>,
    /// SHA-256 of the manifest of the version's files, where they have been read.
    pub manifest_sha256: Option<String>,
    /// Who asked.
    pub user: String,
    /// On which machine.
    pub host: String,
    /// Why, in the user's words; may be empty.
    pub reason: String,
    /// Whether it was done in spite of the evidence.
    pub forced: bool,
    /// Fingerprint of the events judged on, and how many they are.
    pub data: Option<(String, u64)>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

/// A decision as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// From 1.
    pub number: u32,
    /// When, in milliseconds since 1970, by the clock of the machine.
    pub time_ms: i64,
    /// Random, so that no two entries are alike: of two programs that decide the same at once, each has its own.
    pub id: String,
    /// The registered model.
    pub name: String,
    /// What was decided.
    #[serde(flatten)]
    pub decision: Decision,
    /// Hash of the entry before; empty for the first.
    pub previous_hash: String,
    /// SHA-256 of the entry's text, in hex digits.
    #[serde(skip)]
    pub hash: String,
}

/// A history, and what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Entries by number, as far as they can be read.
    pub entries: Vec<HistoryEntry>,
    /// Why they cannot be trusted; none for a whole chain.
    pub problems: Vec<String>,
}

impl History {
    /// The champion at a time, by the entries until then.
    pub fn champion_at(&self, time_ms: i64) -> Option<u32> {
        self.entries.iter().rev().find(|entry| entry.time_ms <= time_ms)?.decision.champion
    }

    /// The champion that a rollback restores: the last before `current` that was not itself rolled back and of which there is
    /// a version; where the champion was changed without a record, the last recorded one.
    ///
    /// - `versions`: those that are there, for a version may be deleted without a record.
    pub fn champion_before(&self, current: Option<u32>, versions: &[u32]) -> Option<u32> {
        let mut champions: Vec<u32> = Vec::new();
        for Decision { action, version, champion, previous, .. } in self.entries.iter().map(|entry| &entry.decision) {
            match action {
                Action::Promote => {
                    // Named by someone else, before the first entry or since the last.
                    champions.extend(previous.filter(|previous| champions.last() != Some(previous)));
                    champions.extend(*champion);
                }
                Action::Rollback => {
                    while champions.last().copied() != *champion && champions.pop().is_some() {}
                    champions.extend(champion.filter(|_| champions.is_empty()));
                }
                Action::Delete => champions.retain(|champion| champion != version),
                Action::Reject => {}
            }
        }
        champions.into_iter().rev().find(|champion| Some(*champion) != current && versions.contains(champion))
    }
}

fn hash_of(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key_of(number: u32, hash: &str) -> String {
    format!("{ENTRY_PREFIX}{number:06}.{}", &hash[..KEY_DIGITS])
}

/// Reads the history of a registered model from its tags, and checks that it is whole: numbers, hashes, and that each entry
/// begins where the one before it ended.
///
/// # Errors
/// Those of [`crate::Registry::registered_model`].
pub fn history(store: &mut dyn Store, name: &str) -> Result<History> {
    Ok(read(&store.registered_model(name)?.tags, name))
}

fn read(tags: &BTreeMap<String, String>, name: &str) -> History {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    // By number, since the digits stand in front.
    for (key, text) in tags.iter().filter(|(key, _)| key.starts_with(ENTRY_PREFIX)) {
        let hash = hash_of(text);
        match serde_json::from_str::<HistoryEntry>(text) {
            Ok(entry) if *key == key_of(entry.number, &hash) => entries.push(HistoryEntry { hash, ..entry }),
            Ok(entry) => problems.push(format!("entry {}, tag `{key}`, has been changed", entry.number)),
            Err(error) => problems.push(format!("tag `{key}` is no entry: {error}")),
        }
    }
    entries.sort_by_key(|entry| entry.number);
    let (mut number, mut hash, mut champion) = (0, String::new(), None);
    for entry in &entries {
        if entry.number == number {
            problems.push(format!("there are two entries {number}"));
        } else if entry.number - number > 1 {
            let (first, last) = (number + 1, entry.number - 1);
            let missing =
                if first == last { format!("entry {first} is") } else { format!("entries {first} to {last} are") };
            problems.push(format!("{missing} missing"));
        } else if entry.previous_hash != hash {
            problems.push(format!("entry {} does not follow the entry {number} that is there", entry.number));
        }
        if entry.name != name {
            problems.push(format!(
                "entry {} is of another model, `{}`",
                entry.number,
                crate::error::shown(&entry.name)
            ));
        }
        if number > 0 && entry.decision.previous != champion {
            let (before, after) = (shown(champion), shown(entry.decision.previous));
            problems.push(format!(
                "between entries {number} and {} the champion was changed from {before} to {after}, unrecorded",
                entry.number
            ));
        }
        (number, hash, champion) = (entry.number, entry.hash.clone(), entry.decision.champion);
    }
    History { entries, problems }
}

pub(crate) fn shown(version: Option<u32>) -> String {
    version.map_or_else(|| "none".to_owned(), |version| format!("version {version}"))
}

/// Reads the history and checks it against what it speaks of: that the champion is the one of the last entry, that no entry is
/// missing about which a version knows, and that `heads`, hashes kept elsewhere, are in it.
///
/// # Errors
/// Those of [`crate::Registry::model_versions`].
pub fn verify(store: &mut dyn Store, name: &str, heads: &[String]) -> Result<History> {
    let model = store.registered_model(name)?;
    let mut history = read(&model.tags, name);
    let problems = &mut history.problems;
    let knows = |hash: &str| history.entries.iter().any(|entry| entry.hash == hash);
    for head in heads {
        if !knows(head) {
            problems.push(format!("entry `{}` is not in the history", crate::error::shown(head)));
        }
    }
    let versions = store.model_versions(name)?;
    let is_there = |version: u32| versions.iter().any(|found| found.version == version);
    let mut gone: BTreeMap<u32, u32> = BTreeMap::new();
    for HistoryEntry { number, decision, .. } in &history.entries {
        match decision.action {
            Action::Delete => drop(gone.remove(&decision.version)),
            _ if is_there(decision.version) => {}
            _ => drop(gone.insert(decision.version, *number)),
        }
    }
    for (version, number) in gone {
        problems.push(format!("version {version}, of entry {number}, was deleted, unrecorded"));
    }
    for ModelVersion { version, tags, .. } in versions {
        if let Some(hash) = tags.get(ENTRY_TAG).filter(|hash| !knows(hash)) {
            let hash = crate::error::shown(hash);
            problems.push(format!("version {version} speaks of entry `{hash}`, which is not in the history"));
        }
    }
    let champion = model.aliases.get(CHAMPION).copied();
    let recorded = history.entries.last().and_then(|entry| entry.decision.champion);
    if champion != recorded {
        problems.push(format!(
            "the champion is {}, and the history's last entry says {}",
            shown(champion),
            shown(recorded)
        ));
    }
    Ok(history)
}

/// Records a decision, and makes the champion what it says.
///
/// Programs that decide at the same time do it one after the other. First the entry, then the alias: what fails in between is seen by
/// [`verify`], and is done by doing it again.
///
/// # Errors
/// Those of [`crate::Registry`]; [`Error::ChampionChanged`] if the champion is not the one that the decision speaks of any more.
pub fn record(store: &mut dyn Store, name: &str, decision: Decision, time_ms: i64) -> Result<HistoryEntry> {
    loop {
        let (claim, model) = Claim::take(store, name, claim::LEFT_BEHIND)?;
        let recorded = record_alone(store, &claim, &model, &decision, time_ms);
        claim.release(store);
        if let Some(entry) = recorded? {
            return Ok(entry);
        }
    }
}

/// [`record`] while no other program does, or nothing if others took the claim away meanwhile.
fn record_alone(
    store: &mut dyn Store,
    claim: &Claim,
    model: &RegisteredModel,
    decision: &Decision,
    time_ms: i64,
) -> Result<Option<HistoryEntry>> {
    let &Decision { version, previous, champion, .. } = decision;
    let name = &model.name;
    let found = model.aliases.get(CHAMPION).copied();
    if found != previous {
        return Err(Error::ChampionChanged { name: name.clone(), expected: previous, found });
    }
    let (entry, text) = within_a_tag(entry_after(read(&model.tags, name).entries.last(), name, decision, time_ms)?);
    let hash = hash_of(&text);
    let key = key_of(entry.number, &hash);
    store.tag_registered_model(name, &Tag::new(&key, &text))?;
    // Of a program that stood still for long, the entry must not stay beside one that was written in its place.
    if !claim.holds(store)? {
        store.untag_registered_model(name, &key)?;
        return Ok(None);
    }
    if champion != previous {
        match champion {
            Some(champion) => store.set_alias(name, CHAMPION, champion)?,
            None => store.delete_alias(name, CHAMPION)?,
        }
    }
    match store.tag_model_version(name, version, &Tag::new(ENTRY_TAG, &hash)) {
        // Deleted meanwhile: the chain has it.
        Err(Error::ModelVersionNotFound { .. }) => {}
        tagged => tagged?,
    }
    Ok(Some(HistoryEntry { hash, ..entry }))
}

fn entry_after(last: Option<&HistoryEntry>, name: &str, decision: &Decision, time_ms: i64) -> Result<HistoryEntry> {
    Ok(HistoryEntry {
        number: last.map_or(1, |last| last.number.saturating_add(1)),
        // Times never go back, whatever the clocks of the machines say.
        time_ms: last.map_or(time_ms, |last| time_ms.max(last.time_ms)),
        id: names::new_id()?,
        name: name.to_owned(),
        decision: decision.clone(),
        previous_hash: last.map(|last| last.hash.clone()).unwrap_or_default(),
        hash: String::new(),
    })
}

/// The entry and its text, which fits a tag: of too much evidence, what passed is left out first.
fn within_a_tag(mut entry: HistoryEntry) -> (HistoryEntry, String) {
    loop {
        let text = serde_json::to_string(&entry).unwrap_or_default();
        let evidence = &mut entry.decision.evidence;
        if text.chars().count() <= MAX_ENTRY_CHARS || evidence.is_empty() {
            return (entry, text);
        }
        let last = evidence.iter().rposition(|evidence| evidence.passed).unwrap_or(evidence.len() - 1);
        evidence.remove(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn decision(action: Action, version: u32, previous: Option<u32>, champion: Option<u32>) -> Decision {
        Decision {
            action,
            version,
            previous,
            champion,
            model_id: None,
            manifest_sha256: None,
            user: "ana".into(),
            host: "lab".into(),
            reason: String::new(),
            forced: false,
            data: None,
            evidence: Vec::new(),
        }
    }

    pub(super) fn promote(version: u32, previous: Option<u32>) -> Decision {
        decision(Action::Promote, version, previous, Some(version))
    }

    /// Tags of a chain of these decisions, an hour apart.
    fn chain(decisions: Vec<Decision>) -> BTreeMap<String, String> {
        let (mut tags, mut previous_hash) = (BTreeMap::new(), String::new());
        for (number, decision) in (1..).zip(decisions) {
            let time_ms = i64::from(number) * 3_600_000;
            let name = "ssh".to_owned();
            let id = number.to_string();
            let entry = HistoryEntry { number, time_ms, id, name, decision, previous_hash, hash: String::new() };
            let (_, text) = within_a_tag(entry);
            previous_hash = hash_of(&text);
            tags.insert(key_of(number, &previous_hash), text);
        }
        tags
    }

    fn three() -> BTreeMap<String, String> {
        chain(vec![promote(1, None), decision(Action::Reject, 2, Some(1), Some(1)), promote(3, Some(1))])
    }

    #[test]
    fn a_chain_is_whole() {
        let mut tags = three();
        tags.insert("team".into(), "blue".into());
        let history = read(&tags, "ssh");
        assert!(history.problems.is_empty(), "{:?}", history.problems);
        assert_eq!(history.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3]);
        let champions = [0, 1, 2, 3, 9].map(|hour| history.champion_at(hour * 3_600_000));
        assert_eq!(champions, [None, Some(1), Some(1), Some(3), Some(3)]);
    }

    #[rstest]
    #[case("000001", "ana", "eve", "entry 1, tag `phantomnet.history.000001.")]
    #[case("000002", "\"version\":2", "\"version\":1", "entry 2, tag")]
    #[case("000003", "{", "[", "is no entry")]
    fn a_changed_entry_is_seen(#[case] number: &str, #[case] from: &str, #[case] to: &str, #[case] problem: &str) {
        let mut tags = three();
        for (_, text) in tags.iter_mut().filter(|(key, _)| key.contains(number)) {
            *text = text.replacen(from, to, 1);
        }
        let problems = read(&tags, "ssh").problems.join("; ");
        assert!(problems.contains(problem), "{problems}");
    }

    #[test]
    fn an_entry_written_anew_breaks_those_after_it() {
        let mut tags = three();
        tags.retain(|key, _| !key.contains("000001"));
        let forged = chain(vec![promote(2, None)]);
        tags.extend(forged);
        let problems = read(&tags, "ssh").problems.join("; ");
        assert!(problems.contains("entry 2 does not follow the entry 1"), "{problems}");
        assert!(problems.contains("changed from version 2 to version 1, unrecorded"), "{problems}");
    }

    #[test]
    fn what_is_missing_double_or_of_another_model_is_seen() {
        let mut tags = three();
        tags.retain(|key, _| !key.contains("000002"));
        assert_eq!(read(&tags, "ssh").problems, ["entry 2 is missing"]);
        let mut tags = three();
        tags.extend(chain(vec![promote(2, None)]));
        assert!(read(&tags, "ssh").problems.contains(&"there are two entries 1".to_owned()));
        assert_eq!(read(&chain(vec![promote(1, None)]), "ftp").problems, ["entry 1 is of another model, `ssh`"]);
    }

    #[test]
    fn a_rollback_restores_the_champion_before() {
        let rollback = |version, previous| decision(Action::Rollback, version, Some(previous), Some(version));
        let all: Vec<u32> = (1..10).collect();
        let before = |decisions, current| read(&chain(decisions), "ssh").champion_before(Some(current), &all);
        assert_eq!(
            read(&chain(vec![promote(1, None), promote(2, Some(1)), promote(3, Some(2))]), "ssh")
                .champion_before(Some(3), &[1, 3]),
            Some(1),
            "version 2 was deleted without a record"
        );
        let promotions = || vec![promote(1, None), promote(2, Some(1)), promote(3, Some(2))];
        assert_eq!(before(promotions(), 3), Some(2));
        let mut once = promotions();
        once.push(rollback(2, 3));
        assert_eq!(before(once.clone(), 2), Some(1));
        once.push(rollback(1, 2));
        assert_eq!(before(once.clone(), 1), None);
        once.push(promote(4, Some(1)));
        assert_eq!(before(once, 4), Some(1));
        // Someone named version 9 without a record.
        assert_eq!(before(promotions(), 9), Some(3));
        let mut deleted = promotions();
        deleted.push(decision(Action::Delete, 2, Some(3), Some(3)));
        assert_eq!(before(deleted, 3), Some(1));
        assert_eq!(before(vec![promote(2, Some(7))], 2), Some(7), "named before the first entry");
        assert_eq!(before(Vec::new(), 1), None);
    }

    proptest! {
        #[test]
        fn any_change_of_a_byte_is_seen(entry in 0_usize..3, place in 0_usize..2000, byte in 0x20_u8..0x7f) {
            let mut tags = three();
            let (_, text) = tags.iter_mut().nth(entry).expect("three entries");
            let place = place % text.len();
            prop_assume!(text.as_bytes()[place] != byte);
            text.replace_range(place..=place, &char::from(byte).to_string());
            prop_assert!(!read(&tags, "ssh").problems.is_empty());
        }

        #[test]
        fn what_others_wrote_is_read_or_named(
            texts in prop::collection::vec(("[0-9a-f.]{0,24}", "\\PC{0,40}"), 0..4),
            numbers in prop::collection::vec(any::<u32>(), 0..4),
        ) {
            let mut tags: BTreeMap<String, String> =
                texts.into_iter().map(|(key, text)| (format!("{ENTRY_PREFIX}{key}"), text)).collect();
            for number in numbers {
                let (name, id) = ("ssh".to_owned(), String::new());
                let (previous_hash, hash) = (String::new(), String::new());
                let decision = promote(1, None);
                let (_, text) = within_a_tag(HistoryEntry { number, time_ms: 0, id, name, decision, previous_hash, hash });
                tags.insert(key_of(number, &hash_of(&text)), text);
            }
            let history = read(&tags, "ssh");
            prop_assert!(history.entries.len() + history.problems.len() >= tags.len());
            let _ = (history.champion_before(Some(1), &[1]), history.champion_at(0));
        }
    }

    #[test]
    fn an_entry_fits_a_tag() {
        let evidence = |name: &str, passed| Evidence { name: name.into(), passed, figures: "x".repeat(300) };
        let mut decision = promote(1, None);
        decision.evidence = (0..40).map(|i| evidence(&i.to_string(), i % 20 != 0)).collect();
        let tags = chain(vec![decision]);
        assert!(tags.values().all(|text| text.chars().count() <= MAX_ENTRY_CHARS));
        let kept = &read(&tags, "ssh").entries[0].decision.evidence;
        assert!(kept.len() > 10 && kept.iter().filter(|evidence| !evidence.passed).count() == 2, "{}", kept.len());
    }
}
