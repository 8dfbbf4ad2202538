//! The program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    phantomnet::run(phantomnet::cli::Cli::parse())
}
