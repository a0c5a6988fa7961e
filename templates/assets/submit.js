// The page's one form hands an answer to the application; its button does the same without script.
HTMLFormElement.prototype.submit.call(document.getElementById("form-post"));
