"""Microsoft's own client signs in to an Entra that stands in for theirs.

Takes one JSON object in a line on stdin: way (device, code, secret, certificate), authority, client_id, ca, and what the
way needs. Writes one JSON object a line: the code to approve or the page to open, and what came of it (never a token).
"""

import json
import sys

import msal
import requests


def tell(**said):
    print(json.dumps(said), flush=True)


def outcome(result):
    claims = result.get("id_token_claims") or {}
    return {
        "error": result.get("error_description"),
        "has_token": "access_token" in result,
        "expires_in": result.get("expires_in"),
        "who": claims.get("preferred_username"),
    }


def device(asked, common):
    app = msal.PublicClientApplication(asked["client_id"], **common)
    flow = app.initiate_device_flow(scopes=["Presence.Read"])
    tell(user_code=flow["user_code"], uri=flow["verification_uri"])
    result = app.acquire_token_by_device_flow(flow)
    tell(**outcome(result))
    again = app.acquire_token_silent(["Presence.Read"], account=app.get_accounts()[0], force_refresh=True)
    tell(refreshed="access_token" in again and again["access_token"] != result["access_token"])


def code(asked, common):
    app = msal.ConfidentialClientApplication(asked["client_id"], client_credential=asked["secret"], **common)
    flow = app.initiate_auth_code_flow(["Presence.Read"], redirect_uri=asked["back"], response_mode="form_post")
    tell(page=flow["auth_uri"])
    posted = json.loads(sys.stdin.readline())
    tell(**outcome(app.acquire_token_by_auth_code_flow(flow, posted)))


def application(asked, common, credential):
    app = msal.ConfidentialClientApplication(asked["client_id"], client_credential=credential, **common)
    tell(**outcome(app.acquire_token_for_client(scopes=["https://graph.microsoft.com/.default"])))


def main():
    asked = json.loads(sys.stdin.readline())
    session = requests.Session()
    session.verify = asked["ca"]
    session.trust_env = False
    common = {"authority": asked["authority"], "instance_discovery": False, "http_client": session}
    if asked["way"] == "device":
        device(asked, common)
    elif asked["way"] == "code":
        code(asked, common)
    elif asked["way"] == "secret":
        application(asked, common, asked["secret"])
    else:
        pair = {"private_key": asked["key"], "public_certificate": asked["certificate"]}
        application(asked, common, pair)


main()
