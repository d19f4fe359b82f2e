"""Writes the Terraform module in this folder from template.yaml and its nested stacks.

    python infra/terraform/generate.py            writes it anew
    python infra/terraform/generate.py --check    fails if it is not what would be written

Run in the folder of template.yaml, with what infra/local/requirements-lint.txt lists. So there is one
description of the stack. Types of resources, and properties of them, that are not known below are
refused: nothing of the template is left out silently.

This file is long because it holds, for each type, what Terraform calls its properties.
"""

import json
import os
import pathlib
import re
import sys

from cfnlint.decode.cfn_yaml import load
from samtranslator.translator.transform import transform

HERE = pathlib.Path(__file__).parent
HEAD = "# Made by generate.py from template.yaml, where the reasons stand. Do not edit.\n\n"


class NoManagedPolicies:
    def load(self):
        return {}


class Raw(str):
    """An expression of Terraform, as it is written."""


class Block(dict):
    """A nested block, not a map."""


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


# ---- How Terraform writes things ------------------------------------------------------------


def quoted(text):
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def written(value, depth):
    pad = "  " * depth
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        items = [written(item, depth + 1) for item in value]
        line = "[" + ", ".join(items) + "]"
        if len(line) + len(pad) < 100 and "\n" not in line:
            return line
        return "[\n" + "".join(f"{pad}  {item},\n" for item in items) + pad + "]"
    return "{\n" + body(value, depth + 1) + pad + "}" if value else "{}"


def key(name):
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) else quoted(name)


def body(fields, depth):
    """Fields first, aligned as `terraform fmt` does it, then blocks."""
    pad, lines, run = "  " * depth, [], []

    def flush():
        width = max((len(name) for name, _ in run), default=0)
        lines.extend(f"{pad}{name:<{width}} = {text}\n" for name, text in run)
        run.clear()

    blocks = []
    for name, value in fields.items():
        if isinstance(value, Block) or isinstance(value, list) and value and isinstance(value[0], Block):
            blocks += [(name, block) for block in (value if isinstance(value, list) else [value])]
            continue
        text = written(value, depth)
        if "\n" in text:
            flush()
            lines.append(f"{pad}{key(name)} = {text}\n")
        else:
            run.append((key(name), text))
    flush()
    for name, block in blocks:
        lines.append(("\n" if lines else "") + f"{pad}{name} {{\n{body(block, depth + 1)}{pad}}}\n")
    return "".join(lines)


def block(head, fields):
    return f"{head} {{\n{body(fields, 1)}}}\n"


# ---- What the template says -----------------------------------------------------------------


# Type: Terraform's type, the attribute that !Ref gives, the attributes that !GetAtt gives.
KINDS = {
    "AWS::ApiGatewayV2::Api": ("aws_apigatewayv2_api", "id", {"ApiEndpoint": "api_endpoint"}),
    "AWS::ApiGatewayV2::ApiMapping": ("aws_apigatewayv2_api_mapping", "id", {}),
    "AWS::ApiGatewayV2::Authorizer": ("aws_apigatewayv2_authorizer", "id", {}),
    "AWS::ApiGatewayV2::DomainName": (
        "aws_apigatewayv2_domain_name", "domain_name",
        {"RegionalDomainName": "domain_name_configuration[0].target_domain_name"},
    ),
    "AWS::ApiGatewayV2::Integration": ("aws_apigatewayv2_integration", "id", {}),
    "AWS::ApiGatewayV2::Route": ("aws_apigatewayv2_route", "id", {}),
    "AWS::ApiGatewayV2::Stage": ("aws_apigatewayv2_stage", "id", {}),
    "AWS::CloudWatch::Alarm": ("aws_cloudwatch_metric_alarm", "id", {}),
    "AWS::CloudWatch::Dashboard": ("aws_cloudwatch_dashboard", "id", {}),
    "AWS::DynamoDB::Table": ("aws_dynamodb_table", "name", {"Arn": "arn"}),
    "AWS::IAM::Policy": ("aws_iam_role_policy", "id", {}),
    "AWS::IAM::Role": ("aws_iam_role", "name", {"Arn": "arn"}),
    "AWS::Lambda::EventInvokeConfig": ("aws_lambda_function_event_invoke_config", "id", {}),
    "AWS::Lambda::EventSourceMapping": ("aws_lambda_event_source_mapping", "id", {}),
    "AWS::Lambda::Function": ("aws_lambda_function", "function_name", {"Arn": "arn"}),
    "AWS::Lambda::Permission": ("aws_lambda_permission", "id", {}),
    "AWS::Logs::LogGroup": ("aws_cloudwatch_log_group", "name", {"Arn": "arn"}),
    "AWS::Scheduler::Schedule": ("aws_scheduler_schedule", "id", {"Arn": "arn"}),
    "AWS::SecretsManager::Secret": ("aws_secretsmanager_secret", "arn", {"Id": "arn"}),
    "AWS::SQS::Queue": ("aws_sqs_queue", "url", {"Arn": "arn", "QueueName": "name"}),
}
PSEUDO = {
    "AWS::StackName": "var.name",
    "AWS::Region": "data.aws_region.current.region",
    "AWS::AccountId": "data.aws_caller_identity.current.account_id",
    "AWS::Partition": "data.aws_partition.current.partition",
    "AWS::NoValue": "null",
}


# Moving deliveries bit by bit is done by CloudFormation's own update of an alias; the module has no such thing.
LEFT_OUT = "Release"
NEVER = "HasRelease"


class Stack:
    """One template. A nested one finds its parameters in what its parent gives it."""

    def __init__(self, template, given=None):
        self.template, self.given, self.nested = template, given, {}
        self.resources = {
            name: it for name, it in template["Resources"].items() if it.get("Condition") != NEVER}
        for name, resource in self.resources.items():
            if resource["Type"] == "AWS::CloudFormation::Stack":
                properties = resource["Properties"]
                parameters = {key: self.value(value) for key, value in properties.get("Parameters", {}).items()}
                self.nested[name] = Stack(load(properties["TemplateURL"]), parameters)

    def ref(self, name):
        if name in PSEUDO:
            return Raw(PSEUDO[name])
        if name in self.template.get("Parameters", {}):
            return self.given[name] if self.given is not None else Raw(f"var.{snake(name)}")
        return self.attribute(name, None)

    def attribute(self, name, wanted):
        resource = self.resources[name]
        if name in self.nested:
            inner = self.nested[name]
            return inner.value(inner.template["Outputs"][wanted.removeprefix("Outputs.")]["Value"])
        kind, ref, known = KINDS[resource["Type"]]
        index = "[0]" if "Condition" in resource else ""
        expression = f"{kind}.{snake(name)}{index}.{known[wanted] if wanted else ref}"
        if resource["Type"] == "AWS::Logs::LogGroup" and wanted:
            return Raw(f'"${{{expression}}}:*"')  # so CloudFormation's ARN of a log group ends
        return Raw(expression)

    def condition(self, value):
        [(verb, of)] = value.items()
        if verb == "Fn::Not":
            return Raw(f"!({self.condition(of[0])})") if "Fn::Equals" not in of[0] else Raw(
                " != ".join(written(self.value(side), 0) for side in of[0]["Fn::Equals"]))
        assert verb == "Fn::Equals", verb
        return Raw(" == ".join(written(self.value(side), 0) for side in of))

    def holds(self, name):
        """A condition of this stack, as an expression. The nested stacks' are those of the root by another name."""
        return self.condition(self.template["Conditions"][name])

    def value(self, value):
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return str(value) if isinstance(value, str) else value
        if len(value) == 1:
            [(verb, of)] = value.items()
            if verb == "Ref":
                return self.ref(of)
            if verb == "Fn::GetAtt":
                name, wanted = of if isinstance(of, list) else of.split(".", 1)
                return self.attribute(name, wanted)
            if verb == "Fn::Sub":
                return self.sub(of)
            if verb == "Fn::If":
                if of[0] == NEVER:
                    return self.value(of[2])
                condition, yes, no = of[0], self.value(of[1]), self.value(of[2])
                return Raw(f"{self.holds(condition)} ? {written(yes, 0)} : {written(no, 0)}")
            if verb == "Fn::Select":
                return Raw(f"{self.value(of[1])}[{of[0]}]")
            if verb == "Fn::Split":
                return Raw(f"split({quoted(of[0])}, {self.value(of[1])})")
            assert not verb.startswith("Fn::"), verb
        return {str(name): self.value(item) for name, item in value.items()}

    def sub(self, of):
        text, own = of if isinstance(of, list) else (of, {})

        def part(match):
            name = match.group(1)
            found = self.value(own[name]) if name in own else (
                self.attribute(*name.split(".", 1)) if "." in name else self.ref(name))
            inner = re.fullmatch(r'"\$\{(.*)\}(.*)"', found) if isinstance(found, Raw) else None
            if inner:
                return f"${{{inner.group(1)}}}{inner.group(2)}"
            return f"${{{found}}}" if isinstance(found, Raw) else found

        if "\n" in text:
            return Raw("<<-EOT\n" + re.sub(r"\$\{([^}]+)\}", part, text).rstrip("\n") + "\n  EOT")
        parts = re.split(r"(\$\{[^}]+\})", text)
        done = [re.sub(r"\$\{([^}]+)\}", part, p) if p.startswith("${") else quoted(p)[1:-1] for p in parts]
        return Raw('"' + "".join(done) + '"')


# ---- From properties to arguments ----------------------------------------------------------


def plain(properties, renamed=None, blocks=()):
    """Arguments that differ by their spelling only; some have another name, some are blocks."""
    fields = {}
    for name, value in properties.items():
        if name == "Tags":
            continue
        argument = (renamed or {}).get(name, snake(name))
        if name in blocks:
            value = Block(plain(value)) if isinstance(value, dict) else [Block(plain(item)) for item in value]
        fields[argument] = value
    return fields


def policy(document):
    return Raw("jsonencode(" + written({"Version": "2012-10-17", **document}, 1) + ")")


def function(name, p):
    package = f'"${{var.packages}}/{name}.zip"'
    code = {"filename": Raw(package), "source_code_hash": Raw(f"filebase64sha256({package})")}
    p = {key: value for key, value in p.items() if key != "Code"}
    p["Environment"] = {"Variables": p["Environment"]["Variables"]}
    fields = plain(p, {"FunctionName": "function_name"}, ("LoggingConfig", "TracingConfig"))
    fields["environment"] = Block(variables=p["Environment"]["Variables"])
    fields["logging_config"] = Block(log_format="Text", **fields["logging_config"])
    return {**code, **fields}


def table(name, p):
    attributes = {it["AttributeName"]: it["AttributeType"] for it in p["AttributeDefinitions"]}
    keys = lambda schema: {
        {"HASH": "hash_key", "RANGE": "range_key"}[it["KeyType"]]: it["AttributeName"] for it in schema}
    sse = p["SSESpecification"]
    known = {"AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "GlobalSecondaryIndexes",
             "KeySchema", "PointInTimeRecoverySpecification", "SSESpecification", "TimeToLiveSpecification"}
    assert set(p) == known, set(p) ^ known
    return {
        "name": Raw("var.name"),
        "billing_mode": p["BillingMode"],
        **keys(p["KeySchema"]),
        "deletion_protection_enabled": p["DeletionProtectionEnabled"],
        "attribute": [Block(name=name, type=type) for name, type in attributes.items()],
        "global_secondary_index": [
            Block(name=it["IndexName"], **keys(it["KeySchema"]), projection_type=it["Projection"]["ProjectionType"])
            for it in p["GlobalSecondaryIndexes"]],
        "ttl": Block(attribute_name=p["TimeToLiveSpecification"]["AttributeName"], enabled=True),
        "point_in_time_recovery": Block(enabled=p["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]),
        "server_side_encryption": Block(enabled=sse["SSEEnabled"], kms_key_arn=sse["KMSMasterKeyId"]),
        "lifecycle": Block(prevent_destroy=True),
    }


def queue(name, p):
    fifo = ".fifo" if p.get("FifoQueue") else ""
    part = snake(name).replace("_", "-")
    if "RedrivePolicy" in p:
        p["RedrivePolicy"] = Raw("jsonencode(" + written(p["RedrivePolicy"], 1) + ")")
    renamed = {"MessageRetentionPeriod": "message_retention_seconds", "VisibilityTimeout": "visibility_timeout_seconds"}
    return {"name": Raw(f'"${{var.name}}-{part}{fifo}"'), **plain(p, renamed)}


def resources(name, kind, p):
    """What one resource of CloudFormation is in Terraform: (type, name, arguments), one or more."""
    label, terraform = snake(name), KINDS[kind][0]
    more = []
    match kind.rsplit("::", 1)[1]:
        case "Function":
            fields = function(p["Metadata"]["BuildProperties"]["Binary"], p["Properties"])
        case "Table":
            fields = table(name, p["Properties"])
        case "Queue":
            fields = queue(name, p["Properties"])
        case "Role":
            p = p["Properties"]
            trust = policy(p["AssumeRolePolicyDocument"])
            fields = {"name": Raw(f'"${{var.name}}-{label.replace("_", "-")}"'), "assume_role_policy": trust}
            assert set(p) <= {"AssumeRolePolicyDocument", "Policies", "Tags"}, set(p)
            for it in p["Policies"]:
                more.append(("aws_iam_role_policy", label, {
                    "name": it["PolicyName"], "role": Raw(f"aws_iam_role.{label}.id"),
                    "policy": policy(it["PolicyDocument"])}))
        case "Policy":
            p = p["Properties"]
            roles = {str(role).split(".")[1]: role for role in p["Roles"]}
            fields = {"for_each": Raw(f"__COUNT__ ? {written(roles, 1)} : {{}}"), "name": p["PolicyName"],
                      "role": Raw("each.value"), "policy": policy(p["PolicyDocument"])}
        case "Secret":
            p = p["Properties"]
            generated = p.pop("GenerateSecretString", None)
            fields = {"name_prefix": Raw(f'"${{var.name}}-{label.replace("_", "-")}-"'), **plain(p)}
            text = fields.pop("secret_string", None)
            fields["lifecycle"] = Block(prevent_destroy=True)
            version = {"secret_id": Raw(f"aws_secretsmanager_secret.{label}.id")}
            if generated:
                more.append(("random_password", label, {"length": generated["PasswordLength"], "special": False}))
                version["secret_string"] = Raw(
                    f"jsonencode({{ {generated['GenerateStringKey']} = random_password.{label}.result }})")
                # Keys are added to a ring later on; what is there is never overwritten.
                version["lifecycle"] = Block(ignore_changes=[Raw("secret_string")])
            else:
                version["secret_string"] = text
            more.append(("aws_secretsmanager_secret_version", label, version))
        case "Schedule":
            p = p["Properties"]
            target = plain(p.pop("Target"), blocks=("RetryPolicy",))
            fields = {**plain(p, blocks=("FlexibleTimeWindow",)), "target": Block(target)}
        case "Alarm":
            p = p["Properties"]
            p["Dimensions"] = {it["Name"]: it["Value"] for it in p["Dimensions"]}
            fields = plain(p, {"OKActions": "ok_actions"})
        case "Integration":
            fields = plain(p["Properties"], {"TimeoutInMillis": "timeout_milliseconds"})
            fields["integration_uri"] = Raw(fields["integration_uri"].removesuffix(".arn") + ".invoke_arn")
        case "Authorizer":
            fields = plain(p["Properties"], {"IdentitySource": "identity_sources"}, ("JwtConfiguration",))
        case "DomainName":
            fields = plain(p["Properties"], {"DomainNameConfigurations": "domain_name_configuration"},
                           ("DomainNameConfigurations",))
        case "Stage":
            fields = plain(p["Properties"], {"StageName": "name"})
        case "LogGroup":
            fields = plain(p["Properties"], {"LogGroupName": "name"})
        case "EventInvokeConfig":
            p["Properties"].pop("DestinationConfig")  # SAM writes an empty one
            fields = plain(p["Properties"])
        case "EventSourceMapping":
            fields = plain(p["Properties"], blocks=("ScalingConfig",))
        case "Api" | "ApiMapping" | "Route" | "Permission" | "Dashboard":
            fields = plain(p["Properties"])
        case other:
            raise SystemExit(f"{name} is a {other}: say in generate.py what it is in Terraform")
    return [(terraform, label, fields), *more]


def file_of(stack):
    text = HEAD
    for name, resource in stack.resources.items():
        if name in stack.nested:
            continue
        said = {"Properties": stack.value(resource["Properties"]), "Metadata": resource.get("Metadata")}
        for kind, label, fields in resources(name, resource["Type"], said):
            if "Condition" in resource:
                condition = stack.holds(resource["Condition"])
                if "for_each" in fields:
                    fields["for_each"] = Raw(fields["for_each"].replace("__COUNT__", condition))
                else:
                    fields = {"count": Raw(f"{condition} ? 1 : 0"), **fields}
                    # The policy of a role stands under the role's condition.
                    if fields.get("role") == f"aws_iam_role.{label}.id":
                        fields["role"] = Raw(f"aws_iam_role.{label}[0].id")
            text += block(f'resource "{kind}" "{label}"', fields) + "\n"
    return text.rstrip("\n") + "\n"


def variables(template):
    text = HEAD + block('variable "name"', {
        "type": Raw("string"), "default": "bucketwheel",
        "description": "What the names of everything begin with."}) + "\n"
    text += block('variable "packages"', {
        "type": Raw("string"),
        "description": "Folder with the functions' zips, as `bucketwheel package` writes them: target/package/functions."})
    for name, it in template["Parameters"].items():
        if name == LEFT_OUT:
            continue
        default = it.get("Default")
        fields = {"type": Raw("number" if it["Type"] == "Number" else "string"), "default": default,
                  "description": str(it["Description"]).strip()}
        if it.get("NoEcho"):
            fields["sensitive"] = True
        here = f"var.{snake(name)}"
        checks = []
        if "AllowedValues" in it:
            checks.append(f"contains({written(list(it['AllowedValues']), 0)}, {here})".replace("\n", ""))
        if "AllowedPattern" in it:
            checks.append(f"can(regex({quoted(it['AllowedPattern'])}, {here}))")
        bounds = {"MinValue": ">=", "MaxValue": "<="}
        checks += [f"{here} {than} {it[bound]}" for bound, than in bounds.items() if bound in it]
        if checks:
            fields["validation"] = Block(condition=Raw(" && ".join(checks)),
                                         error_message="Not one of the values that this takes; see the description.")
        text += "\n" + block(f'variable "{snake(name)}"', fields)
    return text


def outputs(stack):
    text = HEAD
    for name, it in stack.template["Outputs"].items():
        value = stack.value(it["Value"])
        if "Condition" in it:
            value = Raw(f"{stack.holds(it['Condition'])} ? {value} : null")
        fields = {"value": value}
        if "Description" in it:
            fields["description"] = it["Description"]
        text += block(f'output "{snake(name)}"', fields) + "\n"
    return text.rstrip("\n") + "\n"


def module():
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the translation asks for one
    source = load("template.yaml")
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://artifacts-of-bucketwheel/code.zip"
    root = Stack(transform(source, {}, NoManagedPolicies()))
    files = {"main.tf": file_of(root), "variables.tf": variables(root.template), "outputs.tf": outputs(root)}
    for name, stack in root.nested.items():
        files[f"{name.lower()}.tf"] = file_of(stack)
    return files


def main():
    stale = []
    for name, text in module().items():
        path = HERE / name
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    if stale:
        raise SystemExit(f"infra/terraform: {', '.join(stale)} differ from template.yaml; run .ci/run terraform")


main()
