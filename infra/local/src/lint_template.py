"""Checks template.yaml and its nested stacks, as they are and as SAM translates them.

The linter misses mistakes in SAM's shorthand and the translation hides some in the source: both are
checked. Needs what requirements-lint.txt lists. Run in the folder of template.yaml.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from cfnlint.decode.cfn_yaml import load
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """Policies are written out in the template, so no name needs to be looked up."""

    def load(self):
        return {}


def placed(template):
    """Paths become places in S3, as packaging does it."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://artifacts-of-bucketwheel/code.zip"
    return template


def lint(*arguments):
    linter = [sys.executable, "-c", "import sys; from cfnlint.runner import main; sys.exit(main())"]
    return subprocess.run([*linter, "--non-zero-exit-code", "informational", *map(str, arguments)]).returncode


root = pathlib.Path.cwd()
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the translation asks for one
failed = lint("template.yaml", *sorted(root.glob("infra/stacks/*.yaml")))
translated = transform(placed(load(str(root / "template.yaml"))), {}, NoManagedPolicies())
# Beside the source, so that paths of nested stacks still lead to them.
with tempfile.NamedTemporaryFile("w", suffix=".json", dir=root, prefix=".translated-") as file:
    json.dump(translated, file, indent=1)
    file.flush()
    failed |= lint(file.name, "--ignore-checks", "W3002")  # a local path: in the source it is right
print("template.yaml: " + ("see above" if failed else "fine, as it is and translated"))
sys.exit(failed)
