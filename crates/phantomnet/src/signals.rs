//! SIGINT and SIGTERM: the work stops at the next safe place, and the run is closed as KILLED.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::{Failure, Kind};

/// Whether any of the process listens.
static IS_ARMED: AtomicBool = AtomicBool::new(false);

/// Whether, and by which signal, the user wants the work to stop.
#[derive(Debug, Clone, Default)]
pub struct StopSignal {
    raised: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
    listens: bool,
}

impl StopSignal {
    /// Will listen once [armed](Self::arm). The default never listens; its owner raises [`flag`](Self::flag).
    pub fn of_user() -> Self {
        Self { listens: true, ..Self::default() }
    }

    /// Listens from now on. A second signal ends the process at once, should the work not stop.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn arm(&self) -> Result<(), Failure> {
        if !self.listens {
            return Ok(());
        }
        IS_ARMED.store(true, Ordering::SeqCst);
        for signal in [SIGINT, SIGTERM] {
            let refused = |e: std::io::Error| Failure::environment("cannot listen for signals").caused_by(e);
            // Handlers run in this order: the first signal finds the flag still down, the second finds it up.
            flag::register_conditional_shutdown(signal, 128 + signal, self.raised.clone()).map_err(refused)?;
            flag::register_usize(signal, self.number.clone(), signal as usize).map_err(refused)?;
            flag::register(signal, self.raised.clone()).map_err(refused)?;
        }
        Ok(())
    }

    /// Whether a signal is waited for, so that it does not end the process.
    pub(crate) fn is_armed() -> bool {
        IS_ARMED.load(Ordering::SeqCst)
    }

    /// The flag that learners look at.
    pub fn flag(&self) -> &AtomicBool {
        &self.raised
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Kind::Stopped`] when a signal came.
    pub fn check(&self) -> Result<(), Failure> {
        if self.raised.load(Ordering::SeqCst) { Err(self.failure()) } else { Ok(()) }
    }

    /// The failure of work that stopped because of the signal.
    pub fn failure(&self) -> Failure {
        let (number, name) = match self.number.load(Ordering::SeqCst) as i32 {
            SIGTERM => (SIGTERM, "SIGTERM"),
            _ => (SIGINT, "SIGINT"),
        };
        Failure::new(Kind::Stopped(number), format!("stopped by {name}"))
    }
}
