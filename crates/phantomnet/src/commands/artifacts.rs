//! `phantomnet runs artifacts`

use std::path::{Path, PathBuf};

use phantomnet_track::{ArtifactEntry, Store};
use serde_json::json;

use super::print_data;
use super::runs::open;
use crate::cli::ArtifactsCommand;
use crate::failure::{Failure, visible};
use crate::pipeline::model_source::{MAX_BYTES, download};
use crate::pipeline::track_failure;
use crate::terminal;

pub(super) fn run(command: &ArtifactsCommand) -> Result<(), Failure> {
    match command {
        ArtifactsCommand::List { run, path, store } => {
            let json = store.common.json;
            let mut store = open(store)?;
            let id = store.run(run).map_err(track_failure)?.info.id;
            list(&store.list_artifacts(&id, path.as_deref()).map_err(track_failure)?, json)
        }
        ArtifactsCommand::Get { run, path, output, store } => {
            let json = store.common.json;
            let mut store = open(store)?;
            get(store.as_mut(), run, path.trim_end_matches('/'), output.as_deref(), json)
        }
    }
}

fn list(entries: &[ArtifactEntry], json: bool) -> Result<(), Failure> {
    if json {
        let document = |e: &ArtifactEntry| json!({"path": e.path, "is_dir": e.is_dir, "n_bytes": e.n_bytes});
        return terminal::print_json(&entries.iter().map(document).collect());
    }
    let row = |e: &ArtifactEntry| {
        let (path, size) =
            if e.is_dir { (format!("{}/", e.path), String::new()) } else { (e.path.clone(), e.n_bytes.to_string()) };
        vec![visible(&path), size]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    print_data(terminal::table(&rows).trim_end())
}

fn get(store: &mut dyn Store, run: &str, path: &str, output: Option<&Path>, json: bool) -> Result<(), Failure> {
    let run = store.run(run).map_err(track_failure)?.info;
    let name = path.rsplit('/').next().unwrap_or(path);
    let target = output.map_or_else(|| PathBuf::from(name), Path::to_owned);
    // Asked for a folder, stores list what is in it; asked for a file, nothing.
    let is_folder = !store.list_artifacts(&run.id, Some(path)).map_err(track_failure)?.is_empty();
    if target == Path::new("-") {
        let bytes = store.read_artifact(&run.id, path, MAX_BYTES).map_err(track_failure)?;
        return terminal::print(&bytes);
    }
    if is_folder {
        let location = format!("{}/{path}", run.artifact_uri.trim_end_matches('/'));
        download(store, &location, &target)?;
    } else {
        if target.exists() {
            return Err(Failure::config(format!("`{}` is there already", target.display()))
                .hint("name another place with --output"));
        }
        store.download_artifact(&run.id, path, &target, MAX_BYTES).map_err(track_failure)?;
    }
    if json {
        return terminal::print_json(&json!({"run_id": run.id, "path": path, "output": target}));
    }
    terminal::say(&format!("{} is in {}", visible(path), target.display()));
    Ok(())
}
