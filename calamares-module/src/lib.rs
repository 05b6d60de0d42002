//! The extension module `_vfio_setup`: Python on one side, [`vfio_setup_job`] on the other.
//!
//! No Python object may live in a static here: Calamares 3.3 and later start a fresh interpreter for
//! every job, and an object of the one before is a dangling pointer.

use pyo3::prelude::*;
use pyo3::types::PyModule;
use serde_json::{Map, Value};
use vfio_setup_job::{Job, Kind, Trouble};

/// What Python gets for a failure: title, advice, detail.
type Failure = (String, String, String);

/// Runs the job: `None` for success, else `(title, advice, detail)`.
///
/// `configuration` is `libcalamares.job.configuration`, `storage` is `libcalamares.globalstorage`,
/// `progress` takes a number from 0 to 1. Never raises.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "the argument types are pyo3's")]
fn run(
    py: Python<'_>,
    configuration: Bound<'_, PyAny>,
    storage: Bound<'_, PyAny>,
    progress: Bound<'_, PyAny>,
) -> Option<Failure> {
    let trouble = match attempt(py, &configuration, &storage, &progress.unbind()) {
        Ok(()) => return None,
        Err(Stop::Trouble(trouble)) => trouble,
        Err(Stop::Python(error)) => Kind::Fault.with(error.to_string()),
    };
    Some((trouble.title.into(), trouble.advice.into(), trouble.detail))
}

/// Why a run stopped.
enum Stop {
    Trouble(Trouble),
    Python(PyErr),
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

fn attempt(
    py: Python<'_>,
    configuration: &Bound<'_, PyAny>,
    storage: &Bound<'_, PyAny>,
    progress: &Py<PyAny>,
) -> Result<(), Stop> {
    let job = Job::new(&from_python(configuration)?);
    let mut globals = Map::new();
    for key in job.reads() {
        // Asking for an absent key is a warning in Calamares' log.
        if storage.call_method1("contains", (key,))?.is_truthy()? {
            globals.insert(key.to_owned(), from_python(&storage.call_method1("value", (key,))?)?);
        }
    }
    // The window stays alive while we work: another thread may take the interpreter.
    let stored = py.detach(|| {
        job.run(&globals, &|fraction| {
            // A progress bar that cannot be moved is no reason to stop.
            let _ = Python::attach(|py| progress.call1(py, (fraction,)).map(drop));
        })
    })?;
    for (key, value) in stored {
        storage.call_method1("insert", (key, to_python(py, &value)?))?;
    }
    Ok(())
}

// The dictionaries of Calamares are ordinary ones, in Boost.Python's time as in pybind11's, so
// Python's own json module is the shortest way across.

fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let text: String = object.py().import("json")?.call_method1("dumps", (object,))?.extract()?;
    serde_json::from_str(&text).map_err(|error| {
        pyo3::exceptions::PyValueError::new_err(format!("cannot read what Calamares stored: {error}"))
    })
}

fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (value.to_string(),))
}

#[pymodule]
fn _vfio_setup(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run, module)?)
}
