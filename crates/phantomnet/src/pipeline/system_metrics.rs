//! What the machine did while a run was going on, sampled beside it and named as MLflow names it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use phantomnet_track::Metric;
use sysinfo::{Disks, MINIMUM_CPU_UPDATE_INTERVAL, NetworkData, Networks, System};

use super::machine::now_ms;

/// MLflow's megabyte.
const MEGABYTE: f64 = 1e6;

/// Samples the machine in a thread of its own until it is dropped.
#[derive(Debug)]
pub(super) struct Sampler {
    samples: Arc<Mutex<Vec<Metric>>>,
    /// Gone when the thread is to end.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts sampling every `interval`. A last sample is taken at the end, so that a short run has one, too.
    ///
    /// - `folder`: whose disk is looked at.
    pub(super) fn start(interval: Duration, folder: PathBuf) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (running, ended) = channel::<()>();
        let kept = Arc::clone(&samples);
        let thread = std::thread::spawn(move || {
            let mut machine = Machine::new(folder);
            let mut last = Instant::now();
            for step in 0.. {
                let is_ended = ended.recv_timeout(interval) != Err(RecvTimeoutError::Timeout);
                // Of a shorter time, the share of the processors that were busy cannot be told.
                std::thread::sleep(MINIMUM_CPU_UPDATE_INTERVAL.saturating_sub(last.elapsed()));
                last = Instant::now();
                let sample = machine.sample(step);
                if let Ok(mut kept) = kept.lock() {
                    kept.extend(sample);
                }
                if is_ended {
                    break;
                }
            }
        });
        Self { samples, running: Some(running), thread: Some(thread) }
    }

    /// What was sampled since the last call.
    pub(super) fn take(&self) -> Vec<Metric> {
        self.samples.lock().map(|mut samples| std::mem::take(&mut *samples)).unwrap_or_default()
    }

    /// Ends sampling.
    pub(super) fn stop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            // Samples that were not taken are all that is lost.
            let _ = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What of the machine can be looked at on this system.
struct Machine {
    system: Option<System>,
    disks: Option<Disks>,
    networks: Option<Networks>,
    /// Bytes received and sent before the first sample.
    before: (u64, u64),
    folder: PathBuf,
}

impl Machine {
    fn new(folder: PathBuf) -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        let networks = Networks::new_with_refreshed_list().ok();
        let before = networks.as_ref().map(bytes_of).unwrap_or_default();
        let folder = folder.canonicalize().unwrap_or(folder);
        Self { system, disks: Disks::new_with_refreshed_list().ok(), networks, before, folder }
    }

    fn sample(&mut self, step: i64) -> Vec<Metric> {
        let mut values = Vec::new();
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            let (used, total) = (system.used_memory() as f64, system.total_memory() as f64);
            values.push(("cpu_utilization_percentage", f64::from(system.global_cpu_usage())));
            values.push(("system_memory_usage_megabytes", used / MEGABYTE));
            values.push(("system_memory_usage_percentage", 100.0 * used / total));
        }
        if let Some((available, total)) = self.disk() {
            values.push(("disk_usage_percentage", 100.0 * (total - available) / total));
            values.push(("disk_usage_megabytes", (total - available) / MEGABYTE));
            values.push(("disk_available_megabytes", available / MEGABYTE));
        }
        if let Some(networks) = &mut self.networks {
            networks.refresh(true);
            let (received, sent) = bytes_of(networks);
            // Since the start, as MLflow counts.
            values.push(("network_receive_megabytes", received.saturating_sub(self.before.0) as f64 / MEGABYTE));
            values.push(("network_transmit_megabytes", sent.saturating_sub(self.before.1) as f64 / MEGABYTE));
        }
        let now = now_ms();
        let metric = |(name, value)| Metric::new(format!("system/{name}"), value, now, step);
        values.into_iter().filter(|(_, value): &(&str, f64)| value.is_finite()).map(metric).collect()
    }

    /// Free and all bytes of the disk that holds the folder.
    fn disk(&mut self) -> Option<(f64, f64)> {
        let disks = self.disks.as_mut()?;
        disks.refresh(true);
        let holds = |mount: &Path| self.folder.starts_with(mount);
        let disk =
            disks.iter().filter(|disk| holds(disk.mount_point())).max_by_key(|d| d.mount_point().as_os_str().len())?;
        let (available, total) = (disk.available_space() as f64, disk.total_space() as f64);
        (total > 0.0).then_some((available, total))
    }
}

fn bytes_of(networks: &Networks) -> (u64, u64) {
    let of_all = |bytes: fn(&NetworkData) -> u64| networks.values().map(bytes).sum();
    (of_all(NetworkData::total_received), of_all(NetworkData::total_transmitted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_has_one_sample() {
        let mut sampler = Sampler::start(Duration::from_secs(60), std::env::temp_dir());
        sampler.stop();
        let sample = sampler.take();
        let value = |name: &str| sample.iter().find(|metric| metric.key == format!("system/{name}")).map(|m| m.value);
        let share = value("cpu_utilization_percentage").unwrap();
        assert!((0.0..=100.0).contains(&share), "{share}");
        let memory = value("system_memory_usage_percentage").unwrap();
        assert!(memory > 0.0 && memory < 100.0, "{memory}");
        assert!(sample.iter().all(|metric| metric.step == 0 && metric.value >= 0.0));
        assert!(sampler.take().is_empty());
    }
}
