//! Decisions on registered models, as the history records them.

use phantomnet_track::history::{self, Action, CHAMPION, Decision, HistoryEntry};
use phantomnet_track::{ModelVersion, Store};

use super::machine::{host, now_ms, user};
use super::store::track_failure;
use crate::failure::Failure;

/// Characters of a reason that are recorded.
const MAX_REASON_CHARS: usize = 1000;

/// The champion of a registered model now.
///
/// # Errors
/// Of kind config for a model that is not there; of kind environment.
pub(crate) fn champion(store: &mut dyn Store, name: &str) -> Result<Option<u32>, Failure> {
    Ok(store.registered_model(name).map_err(track_failure)?.aliases.get(CHAMPION).copied())
}

/// A decision of the user of this program about a version, without evidence.
///
/// - `champions`: before and after.
pub(crate) fn decision(
    action: Action,
    version: &ModelVersion,
    champions: (Option<u32>, Option<u32>),
    reason: &str,
) -> Decision {
    Decision {
        action,
        version: version.version,
        previous: champions.0,
        champion: champions.1,
        model_id: version.model_id().map(str::to_owned),
        manifest_sha256: None,
        user: user().unwrap_or_else(|| "unknown".into()),
        host: host().unwrap_or_else(|| "unknown".into()),
        reason: reason.chars().take(MAX_REASON_CHARS).collect(),
        forced: false,
        data: None,
        evidence: Vec::new(),
    }
}

/// Records a decision, and makes the champion what it says.
///
/// # Errors
/// Of kind environment.
pub(crate) fn record(store: &mut dyn Store, name: &str, decision: Decision) -> Result<HistoryEntry, Failure> {
    history::record(store, name, decision, now_ms()).map_err(track_failure)
}
