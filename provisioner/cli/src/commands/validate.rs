//! `validate`: is an answers file valid?

use neuron_passthrough::answers::Answers;
use neuron_passthrough::plan::ANSWERS;
use neuron_passthrough::provision::{self, Source};

use crate::args::{Common, ValidateOptions};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::given::Given;
use crate::{render, roots};

pub(crate) fn run(common: &Common, options: &ValidateOptions) -> Result<ExitCode, Failure> {
    let (answers, is_there) = match (&options.file, &common.answers) {
        (Some(_), Some(_)) => return Err(Failure::TwoFiles("FILE")),
        (Some(path), None) => (
            Answers::parse(&Given::open(path)?.read()?)
                .map_err(|problem| Failure::Answers { path: path.clone(), problem })?,
            true,
        ),
        (None, _) => {
            let target = roots::target(common)?;
            let source = roots::source(common, &target)?;
            let is_there = source != Source::Target || target.exists(ANSWERS)?;
            (provision::answers(&target, &source)?, is_there)
        }
    };
    if common.json {
        render::json(&answers)?;
    } else if !common.quiet {
        render::print(&text(is_there))?;
    }
    Ok(ExitCode::Done)
}

fn text(is_there: bool) -> String {
    if is_there {
        "The answers are valid.\n".to_owned()
    } else {
        format!("There is no answers file ({ANSWERS}); the defaults, which are followed then, are valid.\n")
    }
}
