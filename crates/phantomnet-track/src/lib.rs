//! Experiments, runs, params, metrics, artifacts and models in an MLflow tracking store.
//!
//! The words are MLflow's own: an *experiment* holds *runs*; a run has *params* (text, written once), *metrics*
//! (numbers by step and time), *tags* (text, replaceable), *dataset inputs*, *artifacts* (files) and *logged models*.
//!
//! [`open`] gives a [`Store`] for a tracking URI. The embedded one, [`SqliteStore`], writes MLflow's SQLite schema and
//! artifact folder directly, so `mlflow ui --backend-store-uri sqlite:///mlflow.db` shows what it wrote. [`RestStore`] speaks
//! to a tracking server of MLflow 3. Both do the same, and every call blocks until it is done. Artifacts are in a folder, behind the
//! server, or in an object store at `s3://bucket/path` (cargo feature `s3`, on by default). [`OutboxStore`] goes on when the
//! server is away, and [`push_outbox`] sends what it kept. [`ActiveRun`] closes a run on
//! every way out of a program.
//!
//! The crate receives plain values: it knows nothing of learners or events, prints nothing and reads no environment
//! variable; [`ServerOptions::from_variables`] makes of MLflow's variables what the caller reads.
//!
//! ```
//! use phantomnet_track::{Metric, NewRun, Param, RunStatus, open};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let uri = format!("sqlite:///{}/mlflow.db", folder.path().display());
//! let mut store = open(&uri)?;
//! let experiment = store.experiment("ssh-bruteforce")?;
//! let run = store.create_run(
//!     &experiment.id,
//!     NewRun { name: "nightly-42".into(), user: "ana".into(), start_time_ms: 1_700_000_000_000, tags: vec![] },
//! )?;
//! store.log_batch(
//!     &run.id,
//!     &[Metric::new("accuracy", 0.93, 1_700_000_001_000, 0)],
//!     &[Param::new("n_estimators", "200")],
//!     &[],
//! )?;
//! store.end_run(&run.id, RunStatus::Finished, 1_700_000_002_000)?;
//! assert_eq!(store.run("nightly-42")?.metrics["accuracy"].value, 0.93);
//! # Ok(())
//! # }
//! ```

mod active_run;
mod artifacts;
mod entities;
mod error;
mod filter;
pub mod history;
mod limits;
mod names;
mod outbox;
mod registry;
mod rest;
mod sqlite;
mod store;
mod transfer;
mod transport;

pub use active_run::{ActiveRun, ERROR_TAG};
pub use artifacts::{S3Addressing, S3Credentials, S3Options};
pub use entities::{
    ArtifactEntry, DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelRef, ModelStatus, NewLoggedModel,
    NewRun, Param, Run, RunInfo, RunQuery, RunStatus, Tag,
};
pub use error::{Error, Peer, Result};
pub use filter::{Filter, Order};
pub use limits::{MAX_KEY_CHARS, MAX_PARAM_CHARS, MAX_TAG_CHARS, clip_param, clip_tag, sanitize_key};
pub use names::random_run_name;
pub use outbox::{OnAway, OutboxStore, PushedEntry, push_outbox};
pub use registry::{FoundModel, ModelUri, ModelVersion, NewModelVersion, RegisteredModel, Registry, find_model};
pub use rest::{Credentials, RestStore, ServerOptions, check_server_uri, is_sent_in_clear};
pub use sqlite::SqliteStore;
pub use store::{
    BOOT_ID_TAG, HOST_TAG, PARENT_RUN_TAG, PID_TAG, REQUEST_TAG, Store, is_server, open, open_existing,
    open_existing_with, open_with,
};
pub use transfer::{COPIED_FROM_TAG, COPIED_RUN_TAG, CopyOptions, copy_run, copy_version};
