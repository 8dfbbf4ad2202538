//! The files of a run: written whole in a folder of their own, then put in the place of the last run's.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use phantomnet_features::{Rejected, RejectedLine, SourceFile};
use phantomnet_report::Picture;

use super::data::Labelled;
use super::judge::Judgement;
use crate::failure::Failure;

/// Pixels of a PNG for each unit of a picture.
const PNG_SCALE: f32 = 1.5;
/// Bytes of a long file after which they are written.
const WRITTEN_AT_ONCE: usize = 1 << 20;
/// Names that a run may leave in the output folder; nothing else there is ever touched.
const ENTRIES: [&str; 7] =
    ["model", "plots", "report.html", "predictions.csv", "config.toml", "metrics.json", "rejected.jsonl"];

/// Says that a folder holds what runs leave, so that its entries may be replaced; also the lock of their replacement.
const MARKER: &str = ".phantomnet";
/// Beginning of the names of staging folders.
const STAGING: &str = ".partial-";
/// Held while a staging folder is in use.
const IN_USE: &str = ".in-use";

/// A folder in which the files of a run come to be, inside the one that is to hold them.
#[derive(Debug)]
pub(super) struct Staging {
    output: PathBuf,
    folder: PathBuf,
    /// Whether the output folder was not there before.
    made_output: bool,
    /// Locked as long as this lives; process ids would not tell containers apart that share a disk.
    _in_use: fs::File,
}

impl Staging {
    /// Makes the output folder, and the staging folder in it, so that an output that cannot be written is known at once.
    /// Removes what runs left there that were killed.
    ///
    /// # Errors
    /// Of kind environment; also when the folder holds files of the names that a run leaves, but of somebody else.
    pub(super) fn new(output: &Path) -> Result<Self, Failure> {
        let made_output = !output.exists();
        let foreign = |name: &&&str| output.join(name).exists();
        if !output.join(MARKER).is_file()
            && let Some(name) = ENTRIES.iter().find(foreign)
        {
            let text = format!("`{}` is there already, and no run made it", output.join(name).display());
            return Err(Failure::environment(text).hint("choose another folder with --output"));
        }
        let refused = |e| Failure::of_writing(output, e).hint("choose another folder with --output");
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|e| Failure::environment("the system gives no random numbers").caused_by(e))?;
        let folder = output.join(format!("{STAGING}{:016x}", u64::from_le_bytes(random)));
        fs::create_dir_all(output).and_then(|()| fs::create_dir(&folder)).map_err(refused)?;
        let in_use =
            fs::File::create(folder.join(IN_USE)).and_then(|file| file.lock().map(|()| file)).map_err(refused)?;
        let staging = Self { output: output.to_owned(), folder, made_output, _in_use: in_use };
        staging.sweep();
        Ok(staging)
    }

    /// Removes the staging folders that nobody has in use. One that is being made has no lock file yet and is left alone.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.output).into_iter().flatten().flatten() {
            let is_staging = entry.file_name().to_string_lossy().starts_with(STAGING);
            let lock = fs::File::open(entry.path().join(IN_USE));
            if is_staging && lock.is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// The path of an entry while it comes to be.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of an entry once [`publish`](Self::publish) is done.
    pub(super) fn published(&self, name: &str) -> PathBuf {
        self.output.join(name)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(name);
        let parent = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).map_err(|e| Failure::of_writing(&path, e))
    }

    /// Every file, as a `/`-separated path below the folder, in order; the model's are left out.
    pub(super) fn artifacts(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in ENTRIES.iter().filter(|n| **n != "model") {
            let path = self.path(name);
            if path.is_file() {
                found.push((*name).to_owned());
            } else if let Ok(entries) = fs::read_dir(&path) {
                found.extend(entries.flatten().map(|e| format!("{name}/{}", e.file_name().to_string_lossy())));
            }
        }
        found.sort();
        found
    }

    /// Puts the files in the place of the last run's. Two runs that end at once do so one after the other.
    ///
    /// # Errors
    /// Of kind environment; the last run's files are then back in their place.
    pub(super) fn publish(self) -> Result<(), Failure> {
        let marker = self.output.join(MARKER);
        let locked = fs::File::create(&marker).and_then(|file| file.lock().map(|()| file));
        let _lock = locked.map_err(|e| Failure::of_writing(&marker, e))?;
        for (done, name) in ENTRIES.iter().enumerate() {
            if let Err(error) = self.replace(name) {
                ENTRIES[..=done].iter().for_each(|name| self.restore(name));
                return Err(Failure::of_writing(&self.output.join(name), error));
            }
        }
        Ok(())
    }

    fn old(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.old"))
    }

    fn replace(&self, name: &str) -> std::io::Result<()> {
        let (from, to) = (self.path(name), self.output.join(name));
        if to.exists() {
            fs::rename(&to, self.old(name))?;
        }
        if from.exists() { fs::rename(&from, &to) } else { Ok(()) }
    }

    fn restore(&self, name: &str) {
        let (old, to) = (self.old(name), self.output.join(name));
        if old.exists() {
            if to.exists() {
                let _ = fs::rename(&to, self.path(name));
            }
            let _ = fs::rename(old, to);
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left here is partial or replaced; if it cannot be removed, its name says what it is.
        let _ = fs::remove_dir_all(&self.folder);
        if self.made_output {
            // Succeeds only while it is empty, that is, if nothing was published.
            let _ = fs::remove_dir(&self.output);
        }
    }
}

/// Each picture as SVG and PNG.
///
/// # Errors
/// Of kind environment.
pub(super) fn write_pictures(staging: &Staging, pictures: &[Picture]) -> Result<(), Failure> {
    for picture in pictures {
        let png = picture
            .to_png(PNG_SCALE)
            .map_err(|e| Failure::environment(format!("cannot draw picture `{}`", picture.name())).caused_by(e))?;
        staging.write(&format!("plots/{}.png", picture.name()), &png)?;
        staging.write(&format!("plots/{}.svg", picture.name()), picture.to_svg().as_bytes())?;
    }
    Ok(())
}

/// Writes the hold-out rows with their place, label, prediction, probabilities and features; an empty cell is missing.
///
/// # Errors
/// Of kind environment.
pub(super) fn write_predictions(
    staging: &Staging,
    name: &str,
    labelled: &Labelled,
    judgement: &Judgement,
) -> Result<(), Failure> {
    let path = staging.path(name);
    let failed = |error| Failure::of_writing(&path, error);
    let data = &labelled.dataset;
    let names = &data.classes().names;
    let mut file = fs::File::create(&path).map_err(failed)?;
    let mut out = Vec::new();
    let mut header = vec!["file".to_owned(), "line".into(), "label".into(), "predicted".into()];
    header.extend(names.iter().map(|n| format!("prob_{n}")));
    header.extend(data.schema().features().iter().map(|f| format!("feature.{}", f.name)));
    push_record(&mut out, &header);
    for (i, &row) in labelled.holdout.test.iter().enumerate() {
        let place = labelled.origin.places.get(row as usize);
        let mut cells = vec![
            labelled.origin.files[place.file as usize].path.display().to_string(),
            place.line.to_string(),
            names[data.labels()[row as usize] as usize].clone(),
            names[judgement.evaluation.predicted[i] as usize].clone(),
        ];
        cells.extend(judgement.probabilities.row(i).iter().map(f32::to_string));
        let features = (0..data.n_features()).map(|j| data.column(j)[row as usize]);
        cells.extend(features.map(|x| if x.is_nan() { String::new() } else { x.to_string() }));
        push_record(&mut out, &cells);
        // There may be as many rows as memory has room for.
        if out.len() > WRITTEN_AT_ONCE {
            file.write_all(&out).map_err(failed)?;
            out.clear();
        }
    }
    file.write_all(&out).map_err(failed)
}

/// The rejected records as JSON lines: place, reason and first 256 bytes, unprintable characters escaped.
pub fn rejected_jsonl(files: &[SourceFile], rejected: &Rejected) -> Vec<u8> {
    let mut out = Vec::new();
    for RejectedLine { place, reason, excerpt } in &rejected.kept {
        let file = files[place.file as usize].path.display().to_string();
        let (line, offset) = (place.line, place.offset);
        let record =
            serde_json::json!({"file": file, "line": line, "offset": offset, "reason": reason, "excerpt": excerpt});
        out.extend_from_slice(record.to_string().as_bytes());
        out.push(b'\n');
    }
    out
}

/// Appends a CSV record (RFC 4180, LF).
pub fn push_record<S: AsRef<str>>(out: &mut Vec<u8>, cells: &[S]) {
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let cell = cell.as_ref();
        // Writing to a vector cannot fail.
        let _ = if cell.contains(['"', ',', '\n', '\r']) || cells.len() == 1 && cell.is_empty() {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))
        } else {
            out.write_all(cell.as_bytes())
        };
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_need_quotes_have_them() {
        let mut out = Vec::new();
        push_record(&mut out, &["a", "b,c", "say \"x\"", "two\nlines", ""]);
        push_record(&mut out, &[""]);
        assert_eq!(String::from_utf8(out).unwrap(), "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\n\"\"\n");
    }

    #[test]
    fn publishing_replaces_what_a_run_leaves_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let output = root.path().join("out");
        for text in ["first", "second"] {
            let staging = Staging::new(&output).unwrap();
            staging.write("report.html", text.as_bytes()).unwrap();
            staging.write(&format!("plots/{text}.svg"), b"<svg/>").unwrap();
            staging.publish().unwrap();
            fs::write(output.join("mine.txt"), "mine").unwrap();
        }
        assert_eq!(fs::read_to_string(output.join("report.html")).unwrap(), "second");
        assert!(output.join("mine.txt").exists() && !output.join("plots/first.svg").exists());
        let mut names: Vec<String> =
            fs::read_dir(&output).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [".phantomnet", "mine.txt", "plots", "report.html"]);
    }

    #[test]
    fn files_of_somebody_else_are_never_replaced() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.toml"), "precious").unwrap();
        assert!(Staging::new(root.path()).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_killed_runs_left_is_swept_and_what_is_in_use_is_not() {
        let root = tempfile::tempdir().unwrap();
        let dead = root.path().join(".partial-00");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(IN_USE), "").unwrap();
        let first = Staging::new(root.path()).unwrap();
        assert!(!dead.exists());
        let second = Staging::new(root.path()).unwrap();
        assert!(first.folder.exists() && second.folder.exists());
    }

    #[test]
    fn an_abandoned_run_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::new(&root.path().join("out")).unwrap();
        staging.write("report.html", b"half").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
