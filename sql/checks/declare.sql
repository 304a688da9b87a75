-- A cursor over a check's query, which is appended: the server refuses anything but a query, and we fetch only so many rows.
DECLARE deploy_agent_check NO SCROLL CURSOR FOR
