//! The program.

use std::process::ExitCode;

use clap::Parser;
use phantomnet::cli::Cli;
use phantomnet::temporary::TemporaryFolder;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _folder = TemporaryFolder::of_process();
    phantomnet::run(cli)
}
