//! From event logs to a tracked, evaluated, saved attack classifier: the pipeline, and the command line over it.
//!
//! [`pipeline::train`] is the main job as a function, for embedding and for learners of other crates.

pub mod cli;
mod commands;
pub mod config;
pub mod failure;
pub mod pipeline;
pub mod signals;
pub mod temporary;
mod terminal;

use std::process::ExitCode;

use cli::{Cli, Command};

/// Runs a command; what it has to say goes to the terminal.
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Train(args) => commands::train::run(&args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Predict(args) => commands::predict::run(&args),
        Command::Latency(args) => commands::latency::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Presets(command) => commands::presets::run(&command),
        Command::Runs(command) => commands::runs::run(&command),
        Command::Models(command) => commands::models::run(&command),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            terminal::say(&failure::render(&failure));
            failure.kind.exit_code()
        }
    }
}
