//! `lay-out machine ID DIR` or `lay-out target NAME DIR`: a fixture as a directory.

use std::env;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use neuron_tests::{machine, target};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["machine", id, dir] => report(lay_out(id, Path::new(dir))),
        ["target", name, dir] => report(target::copy(name, Path::new(dir))),
        _ => {
            eprintln!(
                "usage: lay-out machine ID DIR | lay-out target NAME DIR\n(DIR is made; `synthetic-N` is a machine of N functions)"
            );
            ExitCode::from(2)
        }
    }
}

fn lay_out(id: &str, dir: &Path) -> io::Result<()> {
    let size = id.strip_prefix("synthetic-").and_then(|size| size.parse().ok());
    let machine = match size {
        Some(functions) => machine::synthetic(functions),
        None => machine::Machine::load(id)?,
    };
    machine::lay_out(&machine, dir)
}

fn report(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lay-out: {error}");
            ExitCode::FAILURE
        }
    }
}
