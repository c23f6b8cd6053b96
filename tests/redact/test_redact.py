"""No planted secret survives, whatever it stands in; what is none comes through to the bit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.redact import REDACTED, redact, secrets_in
from lm_eval_calibration.redact.keys import Grade, grade


def words(text: str) -> list[str]:
    """Of a text."""
    return text.split()


NAMES = words("""api_key apiKey API_KEY OPENAI_API_KEY x-api-key X-API-Key apikey token HF_TOKEN hf_token access_token
refresh_token accessToken auth_token password db_password passwd pwd passphrase secret client_secret
aws_secret_access_key aws_access_key_id AWS_SESSION_TOKEN authorization Authorization Proxy-Authorization auth
credential credentials cookie cookies Set-Cookie private_key privateKey ssh_key bearer jwt api_keys
subscription-key azure_openai_key signing_key wandb_api_key pw user_pw db_pw pswd pass_word passw apikey_openai API_KEY_OPENAI
hf_tok connection_string conn_str credentials_json""")
INNOCENT = words("""max_gen_toks max_tokens max_new_tokens tokenizer tokenizer_backend tokenized_requests eos_token bos_token
pad_token unk_token sep_token mask_token eos_token_id prefix_token_id custom_prefix_token_id token_budget
tokenizer_pad_token think_end_token image_token_id num_tokens add_bos_token author authority keyword
monkey doc_key answer_key sort_key primary_key passage pass@1 passes secretary cookies_eaten tokens_per_second
auth_type auth_method session signal significance keys stop_token special_tokens compass hash
password_strength secret_santa_score max_tokens_openai tok map_str connection format_string""")
MADE = {
    "openai": "sk-proj-Ab12Cd34Ef56Gh78Ij90",
    "anthropic": "sk-ant-api03-Zz9Yy8Xx7Ww6",
    "hub": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
    "github": "ghp_0123456789abcdefABCDEF0123456789abcd",
    "github_new": "github_pat_11ABCDEFG0abcdefghij_klmnop",
    "gitlab": "glpat-abcDEF123456-_xyz7890",
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "groq": "gsk_abcdef1234567890ABCDEF12",
    "npm": "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_tell(name: str) -> None:
    assert grade(name) >= Grade.TEXT
    secret = "Tr0ub4dor&3"
    for value in (
        {name: secret},
        {"a": [{name: {"deep": [secret]}}]},
        f"model=m,{name}={secret},b=c",
        json.dumps({"x": {name: secret}}),
        str({"x": {name: secret}}),
        f"http://host/v1?{name}=Tr0ub4dor%263&n=1",
        [json.dumps({"inner": json.dumps({name: [secret]})})],
    ):
        found = str(redact(value))
        assert "ub4dor" not in found and REDACTED in found, (value, found)


@pytest.mark.parametrize("name", INNOCENT)
def test_names_that_only_look_so(name: str) -> None:
    for value in ("</s>", "yes", 17, 0.5, True, None, ["a", "b"], "Qwen2.5-7B-Instruct"):
        assert redact({name: value}) == {name: value}
        assert redact(f"model=m,{name}={value},b=c") == f"model=m,{name}={value},b=c"


@pytest.mark.parametrize("secret", MADE.values(), ids=MADE)
def test_shapes_that_tell(secret: str) -> None:
    for text in (
        secret,
        f"see {secret}.",
        f'"{secret}"',
        f"x={secret}&y=1",
        f"http://h/{secret}/v1",
    ):
        assert secret not in redact(text) and REDACTED in redact(text)
    assert redact({secret: 1}) == {REDACTED: 1}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("http://user:hunter2@host:80/v1", "http://[redacted]@host:80/v1"),
        ("https://hunter2tok@host/v1", "https://[redacted]@host/v1"),
        ("git+ssh://me:a@b:c@host/x", "git+ssh://[redacted]@host/x"),
        ("failed for user:hunter2@host.org:80", "failed for user:[redacted]@host.org:80"),
        ("http://h/?key=abc&n=1#token=x", "http://h/?key=[redacted]&n=1#token=[redacted]"),
        ("Authorization: Bearer a b c\nHost: h", "Authorization: [redacted]\nHost: h"),
        ("got Bearer abc.def-123, sorry", "got Bearer [redacted], sorry"),
        ("got Basic dXNlcjpwYXNz", "got Basic [redacted]"),
        ("Cookie: a=1; b=2", "Cookie: [redacted]"),
        ("export HF_TOKEN='a b'\nB=1", "export HF_TOKEN='[redacted]'\nB=1"),
        ("lm_eval --api-key abc --model m", "lm_eval --api-key [redacted] --model m"),
        ("password: my long one\nuser: me", "password: [redacted]\nuser: me"),
        ('{\\"api_key\\": \\"a\\"}, cut', '{\\"api_key\\": \\"[redacted]\\"}, cut'),
        ("got auth=('me', 'mine'), n=1", "got auth=[redacted], n=1"),
        ("got api_key='cut off in the mid", "got api_key='[redacted]"),
        ("k\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", "k\n[redacted]"),
        ('{"n": 1.50e1,\n "token" : "abc"}', '{"n": 1.50e1,\n "token" : "[redacted]"}'),
        ('{"api_key": 123456}', '{"api_key": "[redacted]"}'),
    ],
)
def test_texts(text: str, hidden: str) -> None:
    assert redact(text) == hidden
    assert redact(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "unexpected token ':', expected token 'end of print statement', got '}'",
        "Question: {{question}}\nAnswer:",
        "max(x, key=len) if key in keys else d[key]",
        "the token: Paris; the secret: to be kind; basic understanding; Bearer of news",
        "http://localhost:8000/v1/@me and https://example.org/@user/x?page=2",
        "me@example.org, git@github.com:org/repo.git, 12:30",
        "api_key=$OPENAI_API_KEY, token=None, api_key=EMPTY",
        "pretrained=org/sk-learn-model,revision=main,dtype=float32",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "PWD=/home/me",
        "",
    ],
)
def test_texts_that_tell_nothing(text: str) -> None:
    assert redact(text) == text
    assert redact({"x": [text]}) == {"x": [text]}


def test_what_is_secret_here_is_secret_there() -> None:
    secret = 'x9"k\\Q7é&2z'
    value = {"model_args": {"api_key": secret}, "model_name": f"m-{secret}", "error": repr(secret)}
    texts = [json.dumps({"a": secret}), json.dumps([json.dumps(secret)])]
    assert redact({**value, "texts": texts}) == {
        "model_args": {"api_key": REDACTED},
        "model_name": f"m-{REDACTED}",
        "error": f"'{REDACTED}'",
        "texts": [json.dumps({"a": REDACTED}), json.dumps([json.dumps(REDACTED)])],
    }
    known = secrets_in(value)
    assert redact("?q=x9%22k%5CQ7%C3%A9%262z!", known) == "?q=[redacted]!"
    assert "hunter22x" in str(secrets_in("http://me:hunter22x@host"))
    assert redact("pw hunter22x", secrets_in("http://me:hunter22x@host")) == "pw [redacted]"


def test_words_are_not_looked_for() -> None:
    value = {"api_key": "secret", "password": "arc_easy", "text": "the secret of arc_easy"}
    assert redact(value)["text"] == "the secret of arc_easy"


class Pair(NamedTuple):
    """Two things."""

    left: Any
    right: Any


def test_containers_keep_their_kind() -> None:
    value = {
        "a": (1, [Pair("sk-abcdefgh12345", {2})]),
        "b": Path("/x"),
        "c": frozenset({"y"}),
        3: b"z",
    }
    found = redact(value)
    assert found == {**value, "a": (1, [Pair(REDACTED, {2})])}
    assert isinstance(found["a"][1][0], Pair) and isinstance(found["b"], Path)
    assert redact({"sk-abcdefgh12345": 1, "sk-bbcdefgh12345": 2}) == {
        REDACTED: 1,
        "[redacted] (2)": 2,
    }


@pytest.mark.exhaustive
def test_what_holds_itself_and_what_is_deep() -> None:
    circle: dict[str, Any] = {"api_key": "abc"}
    circle["again"] = [circle]
    found = redact(circle)
    assert found["api_key"] == REDACTED and found["again"][0] is found
    deep: Any = {"token": "abcdefg1"}
    for _ in range(20_000):
        deep = [{"x": deep}]
    found = redact(deep)
    for _ in range(20_000):
        found = found[0]["x"]
    assert found == {"token": REDACTED}
    text = '{"a":[' * 20_000 + '{"token": "abcdefg1"}' + "]}" * 20_000
    assert redact(text) == text.replace("abcdefg1", REDACTED)


@pytest.mark.parametrize(
    "piece",
    ["sk-", "eyJ-", "://a:", "@", "key=(", 'token="', "api_key=", "\\\"token\\\":", "a.b-", "Bearer ",
     "{", '["', "hf_", "x@", "://a:b@c", "-----BEGIN PRIVATE KEY-----", "?key=", "\n  password: "],
)  # fmt: skip
def test_long_texts_take_no_longer_than_they_are(piece: str) -> None:
    text = piece * (50_000 // len(piece))
    begin = time.process_time()
    assert redact(redact(text)) == redact(text)
    assert time.process_time() - begin < 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ODD = st.sampled_from([*MADE.values(), *NAMES, "=", ":", '"', "'", "\\", "{", "}", "[", "]", "(", ",", "&",
                       "?", "://", "@", " ", "\n", REDACTED, "Bearer ", "Basic ", "abc", "12345678", "é", "\ud800"])  # fmt: skip
TEXTS = st.lists(ODD | st.text(max_size=3), max_size=12).map("".join)
HOSTILE = st.recursive(
    TEXTS | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*NAMES, *INNOCENT, "headers"]) | TEXTS, inner, max_size=4
        )
    ),
    max_leaves=15,
)


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_once_is_enough(value: Any) -> None:
    once = redact(value)
    assert redact(once) == once


@given(st.recursive(st.booleans() | st.none() | st.floats(allow_nan=False) | st.sampled_from(["</s>", "a b", "org/model", "x=1", "float16", "0.5"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*INNOCENT, "model", "metric_list", "doc_to_text"]), inner), max_leaves=30))  # fmt: skip
@settings(deadline=None)
def test_innocent_configurations_stay(value: Any) -> None:
    assert redact(value) == value
    text = json.dumps(value, indent=1)
    assert redact(text) == text


@given(JSON, st.sampled_from(NAMES), st.text(min_size=8, max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_secret_under_its_name_is_left(around: Any, name: str, rest: str) -> None:
    secret = f"Zq7{rest}9xK2"
    value = {
        "around": around,
        "deep": [{name: secret, "text": f"and {secret} here"}],
        name: [secret],
    }
    found = redact(value)
    assert found["deep"] == [{name: REDACTED, "text": f"and {REDACTED} here"}]
    assert found[name] == [REDACTED]
    written = redact(json.dumps(value))
    assert json.loads(written)["deep"] == found["deep"]
    assert json.dumps(secret)[1:-1] not in written


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://h.com/v1?api_key=ZxKey-1234&max_tokens=5", "?api_key=[redacted]&max_tokens=5"),
        ("https://h.com/v1?x=1&token=ZxKey-1234&y=2#frag", "?x=1&token=[redacted]&y=2#frag"),
        ("http://h/?access_token=ZxKey-1234&n=3,max_gen_toks=7", "=[redacted]&n=3,max_gen_toks=7"),
    ],
)
def test_an_address_keeps_what_is_not_secret_in_it(address: str, shown: str) -> None:
    """And the bare secret is known elsewhere."""
    secret = address.partition("=Zx")[2].partition("&")[0]
    found = redact(
        {"base_url": address, "args": f"model=m,base_url={address}", "doc": f"Zx{secret}"}
    )
    assert found["base_url"].endswith(shown) and found["args"].endswith(shown)
    assert found["doc"] == "[redacted]"
