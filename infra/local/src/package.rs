//! Packaging, as `sam package` does it: what the template names by a path of this folder is named by
//! a place in S3 instead. Nothing else in it changes, so its text is edited and not re-written.

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
