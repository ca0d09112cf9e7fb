//! `ringfence-lab`: the lab by hand, and the demo.

#![allow(clippy::print_stdout, reason = "it talks to a person at a terminal")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use ringfence_lab::{
    demo,
    files::example,
    interrupt,
    lab::{Lab, Options, enter_help},
    probe::responder::Responders,
    registry, wait,
};

/// Hosts as network namespaces, with real controllers and agents. Needs root.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows all that Ringfence does, with real packets, in about a minute.
    Demo,
    /// Raises the demo's cloud with examples/shop.yaml applied, and keeps it until Ctrl-C.
    Up,
    /// Removes what labs left that were killed.
    Down,
    /// Says how to enter the namespaces of the labs that are up.
    EnterHelp,
}

fn main() -> ExitCode {
    let right = match Arguments::parse().command {
        Command::Demo => demo::run(),
        Command::Up => up(),
        Command::Down => down(),
        Command::EnterHelp => help_enter(),
    };
    match right {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help_enter() -> Result<bool> {
    for id in registry::living()? {
        print!("{}", enter_help(&id)?);
    }
    Ok(true)
}

fn up() -> Result<bool> {
    interrupt::listen()?;
    let shop = example("shop.yaml");
    let mut lab = Lab::raise(&[&shop], &Options::default())?;
    let id = lab.id().to_owned();
    let responders = Responders::start(&lab.endpoints)?;
    let applied = lab.apply(&shop)?;
    print!("{}{}", applied.answer, lab.cli_ok(&["status"])?.answer);
    print!("{}{}", enter_help(&id)?, lab.probe_help()?);
    println!("\nCtrl-C takes it all away.");
    wait::until_interrupted();
    drop(responders);
    drop(lab);
    let left = registry::leftovers(&id)?;
    if left.is_empty() {
        println!("\nThe lab {id} is removed: its namespaces, pins and files.");
    } else {
        println!("\nThe lab {id} left behind: {left:?}");
    }
    Ok(left.is_empty())
}

fn down() -> Result<bool> {
    match registry::sweep()?.as_slice() {
        [] => println!("no dead lab has left anything"),
        removed => println!("removed what was left of {}", removed.join(", ")),
    }
    for id in registry::living()? {
        println!("the lab {id} is up; end its process to remove it");
    }
    Ok(true)
}
