//! The clock, the machine and its user.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

fn read_line(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned()).filter(|s| !s.is_empty())
}

/// The user's name: what the environment says, else the password file's for the owner of this process.
pub(crate) fn user() -> Option<String> {
    let named = ["LOGNAME", "USER"].iter().find_map(|v| std::env::var(v).ok()).filter(|name| !name.is_empty());
    #[cfg(target_os = "linux")]
    let named = named.or_else(|| {
        use std::os::unix::fs::MetadataExt;
        let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
        let passwords = std::fs::read_to_string("/etc/passwd").ok()?;
        let mut entries = passwords.lines().map(|line| line.split(':').collect::<Vec<_>>());
        entries.find(|entry| entry.get(2) == Some(&uid.as_str())).map(|entry| entry[0].to_owned())
    });
    named
}

/// Name of this machine.
pub(crate) fn host() -> Option<String> {
    read_line("/proc/sys/kernel/hostname")
}

/// What is new at every boot of this machine.
pub(super) fn boot_id() -> Option<String> {
    read_line("/proc/sys/kernel/random/boot_id")
}
