//! Packaging, as `sam package` does it: what the template names by a path of this folder is named by
//! a place in S3 instead. Nothing else in it changes, so its text is edited and not re-written.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zip::CompressionMethod;

use crate::{Error, functions, project};

const CODE: &str = "CodeUri: ";
const NESTED: &str = "TemplateURL: ";

/// A path that the template names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local<'t> {
    /// `CodeUri: functions/NAME/`, by its name.
    Function(&'t str),
    /// `TemplateURL: PATH`, a nested stack.
    Template(&'t str),
}

fn local(line: &str) -> Option<Local<'_>> {
    let property = line.trim();
    if let Some(path) = property.strip_prefix(CODE) {
        return path.strip_prefix("functions/")?.strip_suffix('/').map(Local::Function);
    }
    property.strip_prefix(NESTED).filter(|path| !path.contains("://")).map(Local::Template)
}

/// Every path that the template names, in its order.
pub(crate) fn paths(template: &str) -> impl Iterator<Item = Local<'_>> {
    template.lines().filter_map(local)
}

/// The template with every such path replaced by where it has been put.
pub(crate) fn packaged(template: &str, place: impl Fn(Local<'_>) -> String) -> String {
    let mut result = String::with_capacity(template.len());
    for line in template.lines() {
        match local(line) {
            Some(path) => {
                let property = if matches!(path, Local::Function(_)) { CODE } else { NESTED };
                let indent = &line[..line.len() - line.trim_start().len()];
                result.extend([indent, property, &place(path)]);
            }
            None => result.push_str(line),
        }
        result.push('\n');
    }
    result
}

/// The code of one function, ready for Lambda.
#[derive(Debug)]
#[non_exhaustive]
pub struct Packaged {
    /// The function.
    pub function: String,
    /// The size of its archive in bytes.
    pub bytes: usize,
    /// SHA-256 of its archive, in hexadecimal.
    pub digest: String,
}

/// Writes an archive of each function, and the templates that name them, into the folder `out`. `binaries`
/// holds what was built: `NAME/bootstrap`, as cargo-lambda writes it, or `NAME`, as cargo does. The same
/// binaries give the same bytes.
pub fn package(binaries: &Path, out: &Path) -> Result<Vec<Packaged>, Error> {
    let read =
        |path: PathBuf| fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())));
    let write = |path: PathBuf, content: &[u8]| {
        let folder = path.parent().unwrap_or(out);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, content))
            .map_err(Error::io(format!("write {}", path.display())))
    };
    let template = read(project().join("template.yaml"))?;
    let mut done = Vec::new();
    for path in paths(&template) {
        match path {
            Local::Template(path) => write(out.join(path), read(project().join(path))?.as_bytes())?,
            Local::Function(name) => {
                let built = [binaries.join(name).join("bootstrap"), binaries.join(name)];
                let missing = || Error::BinaryMissing { function: name.to_owned() };
                let binary = built.iter().find(|path| path.is_file()).ok_or_else(missing)?;
                let archive = functions::archive(binary, CompressionMethod::Deflated)?;
                write(out.join(format!("functions/{name}.zip")), &archive)?;
                let digest = hex::encode(Sha256::digest(&archive));
                done.push(Packaged { function: name.to_owned(), bytes: archive.len(), digest });
            }
        }
    }
    let packaged = packaged(&template, |path| match path {
        Local::Function(name) => format!("functions/{name}.zip"),
        Local::Template(path) => path.to_owned(),
    });
    write(out.join("template.yaml"), packaged.as_bytes())?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::{Local, packaged, paths};

    const TEMPLATE: &str = "\
Resources:
  Data:
    Properties:
      TemplateURL: infra/stacks/data.yaml
  Console:
    Properties:
      CodeUri: functions/console/
      # CodeUri: functions/comment/
      Role: !GetAtt ConsoleRole.Arn
";

    #[test]
    fn paths_become_places_and_nothing_else_changes() {
        let found: Vec<_> = paths(TEMPLATE).collect();
        assert_eq!(found, [Local::Template("infra/stacks/data.yaml"), Local::Function("console")]);
        let result = packaged(TEMPLATE, |path| match path {
            Local::Function(name) => format!("s3://b/{name}.zip"),
            Local::Template(path) => format!("https://s3/{path}"),
        });
        let expected = TEMPLATE
            .replace("URL: infra/stacks/data.yaml", "URL: https://s3/infra/stacks/data.yaml")
            .replace("CodeUri: functions/console/", "CodeUri: s3://b/console.zip");
        assert_eq!(result, expected);
    }

    #[test]
    fn the_real_template_names_what_exists() {
        let project = crate::project();
        let template = std::fs::read_to_string(project.join("template.yaml")).unwrap();
        let mut functions = 0;
        for path in paths(&template) {
            match path {
                Local::Function(name) => {
                    functions += 1;
                    assert!(project.join("functions").join(name).join("src/main.rs").exists(), "{name}");
                }
                Local::Template(path) => assert!(project.join(path).exists(), "{path}"),
            }
        }
        assert_eq!(functions, template.matches("Type: AWS::Serverless::Function").count());
        let result = packaged(&template, |_| "https://elsewhere".into());
        assert_eq!(paths(&result).count(), 0);
    }
}
