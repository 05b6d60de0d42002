//! `validate`: is an answers file valid?

use neuron_passthrough::answers::Answers;

use crate::args::{Common, ValidateOptions};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::{render, roots};

pub(crate) fn run(common: &Common, options: &ValidateOptions) -> Result<ExitCode, Failure> {
    let answers = match &options.file {
        Some(path) => Answers::parse(&roots::read(path)?)
            .map_err(|problem| Failure::Answers { path: path.clone(), problem })?,
        None => roots::answers(common)?,
    };
    if common.json {
        render::json(&answers)?;
    } else if !common.quiet {
        render::print("The answers are valid.\n")?;
    }
    Ok(ExitCode::Done)
}
