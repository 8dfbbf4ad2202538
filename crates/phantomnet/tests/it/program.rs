//! Runs the program as a user does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder of its own for one test, and the program run in it.
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

/// The label of the Week 6 events and two features of their payload.
pub(crate) const CONFIG: &str = r#"
[label]
name = "is_attack"
expr = "event IN ('login_failed', 'command')"
[features]
payload_length = "payload_length(data)"
payload_digits = "digit_ratio(data)"
[model]
n_estimators = 20
"#;

impl Workplace {
    /// With [`CONFIG`] and 200 events in `events.csv`, of which one line cannot be read.
    pub(crate) fn new() -> Self {
        let workplace = Self { folder: tempfile::tempdir().unwrap() };
        workplace.write("phantomnet.toml", CONFIG);
        workplace.write("events.csv", &events(200));
        workplace
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phantomnet"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        let credentials = ["MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"];
        for variable in ["MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"].into_iter().chain(credentials) {
            command.env_remove(variable);
        }
        // No test waits for a server that is not there.
        command.env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed with a JSON document.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {stderr}"))
    }

    /// Runs a command that must fail; gives exit status and what it said.
    pub(crate) fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{args:?} succeeded");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        (output.status.code().unwrap(), stderr)
    }

    /// Names of what stands in the folder, sorted.
    pub(crate) fn entries(&self) -> Vec<String> {
        entries(self.folder.path())
    }
}

pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Synthetic events: attacks have longer payloads, but not always; line 51 has a field too many.
pub(crate) fn events(n: usize) -> String {
    let mut text = String::from("event,source_ip,port,data\n");
    for i in 0..n {
        let noise = i * 7919 % 23;
        let (event, payload) = match i % 4 {
            0 => ("login_failed", format!("user=root&pass={}", "x1".repeat(noise))),
            1 => ("command", format!("wget http://h{i}/{}", "a".repeat(noise))),
            2 => ("banner", "hello ".repeat(noise / 4)),
            _ => ("quit", if noise < 4 { String::new() } else { "bye 221".repeat(noise / 6) }),
        };
        let extra = if i == 49 { ",surplus" } else { "" };
        text.push_str(&format!("{event},192.0.2.{},{},{payload}{extra}\n", i % 200, 20 + i % 3));
    }
    text
}
