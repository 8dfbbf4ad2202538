//! One program at a time decides about a registered model.
//!
//! A store has no call that fails where something is there already, only tags that are set, taken away and read all at once. That is
//! enough: a program sets a tag of its own, a claim, and reads all. Whoever finds no other claim beside his own has the model to
//! himself until he takes the claim away, since of two the one set later is read together with the one before it. Whoever finds
//! another takes his back, and tries again after a random while.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::entities::Tag;
use crate::error::{Error, Result};
use crate::names;
use crate::registry::RegisteredModel;
use crate::store::Store;

/// What keys of claims begin with; an id follows.
const CLAIM_PREFIX: &str = "phantomnet.history-claim.";
/// A claim that is still there after this long is of a program that was killed.
pub(super) const LEFT_BEHIND: Duration = Duration::from_secs(30);
/// How long others are waited for.
const MAX_WAIT: Duration = Duration::from_secs(90);
/// The longest pause before the second attempt, and after it twice as long, ..., up to 8 times.
const PAUSE: Duration = Duration::from_millis(64);

/// The right to decide about a registered model, until [`Claim::release`].
pub(super) struct Claim {
    name: String,
    key: String,
}

impl Claim {
    /// Waits until no other program decides about the model, and returns the model as it is since then.
    ///
    /// - `left_behind`: a claim seen for longer than this is taken away.
    ///
    /// # Errors
    /// Those of [`crate::Registry`]; [`Error::Invalid`] if others have had the model all the time.
    pub(super) fn take(store: &mut dyn Store, name: &str, left_behind: Duration) -> Result<(Self, RegisteredModel)> {
        let key = format!("{CLAIM_PREFIX}{}", names::new_id()?);
        let begun = Instant::now();
        // By this machine's clock alone: those of others may be hours away.
        let mut first_seen: HashMap<String, Instant> = HashMap::new();
        let mut attempt: u32 = 0;
        while begun.elapsed() < MAX_WAIT {
            let mut model = store.registered_model(name)?;
            if others(&model, &key).next().is_none() {
                store.tag_registered_model(name, &Tag::new(&key, "held"))?;
                model = store.registered_model(name)?;
                if others(&model, &key).next().is_none() {
                    return Ok((Self { name: name.to_owned(), key }, model));
                }
                store.untag_registered_model(name, &key)?;
            }
            first_seen.retain(|key, _| model.tags.contains_key(key));
            for other in others(&model, &key) {
                if first_seen.entry(other.clone()).or_insert_with(Instant::now).elapsed() > left_behind {
                    store.untag_registered_model(name, other)?;
                }
            }
            let mut random = [0; 1];
            getrandom::fill(&mut random).map_err(|source| Error::Random { source })?;
            thread::sleep(PAUSE * (1 << attempt.min(3)) * u32::from(random[0]) / 255);
            attempt += 1;
        }
        let expected = "expected that no more programs decide on it at the same time".to_owned();
        Err(Error::Invalid { what: "history of registered model", value: name.to_owned(), expected })
    }

    /// Whether the claim is still there: another program may have taken it for one left behind.
    ///
    /// # Errors
    /// Those of [`crate::Registry::registered_model`].
    pub(super) fn holds(&self, store: &mut dyn Store) -> Result<bool> {
        Ok(store.registered_model(&self.name)?.tags.contains_key(&self.key))
    }

    /// Lets others decide.
    pub(super) fn release(self, store: &mut dyn Store) {
        // What was decided stands. A claim that stays is waited for, and then taken away.
        drop(store.untag_registered_model(&self.name, &self.key));
    }
}

/// Keys of claims but `own`.
fn others<'m>(model: &'m RegisteredModel, own: &str) -> impl Iterator<Item = &'m String> {
    model.tags.keys().filter(move |key| key.starts_with(CLAIM_PREFIX) && *key != own)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::entities::{NewLoggedModel, NewRun};
    use crate::history::tests::promote;
    use crate::history::{history, record_alone};
    use crate::registry::NewModelVersion;
    use crate::store::open;

    /// A store with version 1 of the model `ssh`, and a second connection to it.
    fn registered() -> (TempDir, Box<dyn Store>, Box<dyn Store>) {
        let folder = tempfile::tempdir().unwrap();
        let uri = format!("sqlite:///{}/mlflow.db", folder.path().display());
        let mut store = open(&uri).unwrap();
        let experiment = store.experiment("exp").unwrap();
        let run = NewRun { name: "r".into(), user: String::new(), start_time_ms: 1, tags: vec![] };
        let source_run_id = store.create_run(&experiment.id, run).unwrap().id;
        let (params, tags) = (vec![], vec![]);
        let model = NewLoggedModel { name: "forest".into(), model_type: None, source_run_id, step: 0, params, tags };
        let model_id = store.create_logged_model(model).unwrap().id;
        let version = NewModelVersion { name: "ssh".into(), model_id, description: String::new(), tags: vec![] };
        store.create_model_version(version).unwrap();
        let other = open(&uri).unwrap();
        (folder, store, other)
    }

    #[test]
    fn the_second_waits_for_the_first() {
        let (_folder, mut store, mut other) = registered();
        let (claim, _) = Claim::take(store.as_mut(), "ssh", LEFT_BEHIND).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let (claim, model) = Claim::take(other.as_mut(), "ssh", LEFT_BEHIND).unwrap();
                claim.release(other.as_mut());
                model
            });
            store.tag_registered_model("ssh", &Tag::new("done", "yes")).unwrap();
            claim.release(store.as_mut());
            assert_eq!(second.join().unwrap().tags["done"], "yes", "the model is as the first left it");
        });
        assert_eq!(store.registered_model("ssh").unwrap().tags.len(), 1, "no claim stays");
    }

    #[test]
    fn a_claim_left_behind_is_taken_away() {
        let (_folder, mut store, mut other) = registered();
        let (left, _) = Claim::take(other.as_mut(), "ssh", LEFT_BEHIND).unwrap();
        let (claim, model) = Claim::take(store.as_mut(), "ssh", Duration::from_millis(20)).unwrap();
        assert!(claim.holds(store.as_mut()).unwrap());
        assert!(!left.holds(other.as_mut()).unwrap());

        // It was not left behind: its program only stood still, and writes now.
        let late = record_alone(other.as_mut(), &left, &model, &promote(1, None), 1).unwrap();
        assert_eq!(late, None);
        let found = store.registered_model("ssh").unwrap();
        assert_eq!((found.aliases.len(), history(store.as_mut(), "ssh").unwrap().entries.len()), (0, 0));
        assert!(record_alone(store.as_mut(), &claim, &model, &promote(1, None), 1).unwrap().is_some());
    }
}
