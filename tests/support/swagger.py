"""Uses the interactive documentation as people do."""

from playwright.sync_api import Page, expect

_READ_ME = "#operations-users-users_read_me"


def authorize(page: Page, name: str, password: str) -> None:
    """Fill in the dialogue, with the fields for a client left empty, as people do."""
    page.locator(".auth-wrapper > button.authorize").click()
    expect(page.locator("#oauth_username")).to_be_focused()
    form = page.locator(".auth-container").filter(has=page.locator("#oauth_username"))
    form.locator("#oauth_username").fill(name)
    form.locator("#oauth_password").fill(password)
    form.locator("button.authorize").click()
    expect(page.locator(".auth-container", has_text="Logout").first).to_be_visible()
    page.locator("button.close-modal").click()


def read_me(page: Page) -> None:
    """Execute GET /users/me, and see that it answers with the account."""
    operation = page.locator(_READ_ME)
    operation.locator(".opblock-summary-control").click()
    operation.locator(".try-out__btn").click()
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table tr.response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(answer.locator(".response-col_description")).to_contain_text("ada@example.org")
