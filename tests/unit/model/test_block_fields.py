"""What a block's JSON schema says: its checksum, and where secrets lie."""

from penstock.model.block_fields import checksum, secret_fields

#: Schemas and checksums as a server of Prefect 2 gave them.
INNER = {
    "title": "Inner",
    "type": "object",
    "properties": {
        "token": {"title": "Token", "type": "string", "writeOnly": True, "format": "password"},
        "host": {"title": "Host", "default": "h", "type": "string"},
    },
    "required": ["token"],
    "block_type_slug": "inner",
    "secret_fields": ["token"],
    "block_schema_references": {},
}
INNER_CHECKSUM = "sha256:ffcdb7e55c50a89e4feebc0e4d49d2d093068717f15cd97dee68664d0ed92fe6"
MY_BLOCK = {
    "title": "MyBlock",
    "description": "A test block.",
    "type": "object",
    "properties": {
        "user": {"title": "User", "type": "string"},
        "password": {"title": "Password", "type": "string", "writeOnly": True, "format": "password"},
        "extra": {"title": "Extra", "type": "object"},
        "inner": {"$ref": "#/definitions/Inner"},
        "n": {"title": "N", "default": 3, "type": "integer"},
    },
    "required": ["user", "password"],
    "block_type_slug": "my-block",
    "secret_fields": ["password", "extra.*", "inner.token"],
    "block_schema_references": {"inner": {"block_type_slug": "inner", "block_schema_checksum": INNER_CHECKSUM}},
    "definitions": {"Inner": INNER},
}


def test_the_checksum_is_the_one_that_existing_clients_compute():
    assert checksum(INNER) == INNER_CHECKSUM


def test_definitions_of_other_blocks_do_not_count():
    assert checksum(MY_BLOCK) == "sha256:f922999fe506b3a9757c16a13a9f327c3900ea81ba5abe99a953aaec745b28c6"


def test_definitions_that_are_no_blocks_count_where_they_are_used():
    used = {"properties": {"a": {"allOf": [{"$ref": "#/definitions/Policy"}]}}}
    policy = {"Policy": {"enum": ["a", "b"]}}
    assert checksum({**used, "definitions": policy}) != checksum(used)
    assert checksum({**used, "definitions": {**policy, "Stray": {"enum": [1]}}}) == checksum(
        {**used, "definitions": policy}
    )


def test_secret_markers_do_not_change_the_checksum():
    assert checksum({**INNER, "secret_fields": []}) == INNER_CHECKSUM


def test_listed_and_marked_secrets_are_found_together():
    assert secret_fields(MY_BLOCK) == ["password", "extra.*", "inner.token"]
    assert secret_fields({**MY_BLOCK, "secret_fields": []}) == ["password", "inner.token"]


def test_secrets_are_found_in_maps_lists_and_alternatives():
    secret = {"type": "string", "format": "password"}
    fields = {
        "properties": {
            "map": {"type": "object", "additionalProperties": secret},
            "list": {"type": "array", "items": {"properties": {"key": secret}}},
            "either": {"anyOf": [{"type": "integer"}, secret]},
            "plain": {"type": "string"},
        }
    }
    assert secret_fields(fields) == ["map.*", "list.key", "either"]


def test_a_type_that_holds_itself_is_followed_once():
    node = {"properties": {"key": {"writeOnly": True}, "next": {"$ref": "#/definitions/Node"}}}
    fields = {"properties": {"node": {"$ref": "#/definitions/Node"}}, "definitions": {"Node": node}}
    assert secret_fields(fields) == ["node.key"]
